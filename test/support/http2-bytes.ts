import { CLIENT_PREFACE } from '../../src/dataplane/http2/protocol.ts';

/** One HTTP/2 frame as bytes. */
export function frame(
  type: number,
  {
    flags = 0,
    stream = 0,
    payload = Buffer.alloc(0),
  }: { readonly flags?: number; readonly stream?: number; readonly payload?: Buffer } = {},
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** Named frames of one direction, with payloads that mean nothing. */
export const frames = {
  preface: CLIENT_PREFACE,
  settings: () => frame(4, { payload: Buffer.from('000300000064', 'hex') }),
  settingsAck: () => frame(4, { flags: 1 }),
  headers: (stream: number, { end = false, endHeaders = true } = {}) =>
    frame(1, { flags: (end ? 1 : 0) | (endHeaders ? 4 : 0), stream, payload: Buffer.from('a header block') }),
  continuation: (stream: number, { endHeaders = true } = {}) =>
    frame(9, { flags: endHeaders ? 4 : 0, stream, payload: Buffer.from('more of it') }),
  data: (stream: number, { end = false, bytes = 20 } = {}) =>
    frame(0, { flags: end ? 1 : 0, stream, payload: Buffer.alloc(bytes, 'd') }),
  reset: (stream: number) => frame(3, { stream, payload: Buffer.alloc(4) }),
  goaway: (last: number) => {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(last);
    return frame(7, { payload });
  },
  ping: () => frame(6, { payload: Buffer.alloc(8, 'p') }),
};

export interface ReadFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly bytes: Buffer;
}

/** Cuts bytes into whole frames. @throws Error when a part of one is left over */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const found: ReadFrame[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) throw new Error(`a part of a frame is left over at ${at}`);
    const [type = 0, flags = 0] = [bytes[at + 3], bytes[at + 4]];
    found.push({ type, flags, stream: bytes.readUInt32BE(at + 5), bytes: bytes.subarray(at, end) });
    at = end;
  }
  return found;
}
