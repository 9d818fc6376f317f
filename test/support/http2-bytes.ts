import { encodeFields } from '../../src/dataplane/hpack/encoder.ts';
import { CLIENT_PREFACE, ERROR_CODE, FLAG, FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';

const EMPTY: Buffer = Buffer.alloc(0);

/** One HTTP/2 frame as bytes. */
export function frame(
  type: number,
  { flags = 0, stream = 0, payload = EMPTY }: { flags?: number; stream?: number; payload?: Buffer } = {},
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([header, payload]);
}

export type Lines = Readonly<Record<string, string>> | readonly (readonly [name: string, value: string])[];

/** A header block that leaves the table of its reader alone. */
export function block(lines: Lines): Buffer {
  const pairs = Array.isArray(lines) ? (lines as readonly (readonly [string, string])[]) : Object.entries(lines);
  return encodeFields(pairs.map(([name, value]) => ({ name, value })));
}

/** The head of a call that every gate lets pass. */
export const REQUEST: Readonly<Record<string, string>> = {
  ':method': 'POST',
  ':scheme': 'http',
  ':path': '/a.Service/Call',
  ':authority': 'callee',
};
export const GRPC_REQUEST: Readonly<Record<string, string>> = {
  ...REQUEST,
  'content-type': 'application/grpc',
  te: 'trailers',
};
/** The head of an answer. */
export const RESPONSE: Readonly<Record<string, string>> = { ':status': '200' };

interface HeadersOptions {
  readonly end?: boolean;
  readonly endHeaders?: boolean;
  /** Flags besides those. */
  readonly flags?: number;
}

function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32BE(value >>> 0, index * 4));
  return bytes;
}

/** Frames of one direction. */
export const frames = {
  preface: CLIENT_PREFACE,
  settings: (...entries: readonly (readonly [id: number, value: number])[]) => {
    const payload = Buffer.alloc(entries.length * 6);
    entries.forEach(([id, value], index) => {
      payload.writeUInt16BE(id, index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    });
    return frame(FRAME_TYPE.settings, { payload });
  },
  settingsAck: () => frame(FRAME_TYPE.settings, { flags: FLAG.ack }),
  headers: (
    stream: number,
    lines: Lines | Buffer,
    { end = false, endHeaders = true, flags = 0 }: HeadersOptions = {},
  ) =>
    frame(FRAME_TYPE.headers, {
      flags: flags | (end ? FLAG.endStream : 0) | (endHeaders ? FLAG.endHeaders : 0),
      stream,
      payload: Buffer.isBuffer(lines) ? lines : block(lines),
    }),
  continuation: (stream: number, payload: Buffer, { endHeaders = true } = {}) =>
    frame(FRAME_TYPE.continuation, { flags: endHeaders ? FLAG.endHeaders : 0, stream, payload }),
  /** @param body bytes, or how many of them */
  data: (stream: number, body: Buffer | number, { end = false } = {}) =>
    frame(FRAME_TYPE.data, {
      flags: end ? FLAG.endStream : 0,
      stream,
      payload: typeof body === 'number' ? Buffer.alloc(body, 'd') : body,
    }),
  paddedData: (stream: number, body: Buffer | number, padding: number, { end = false } = {}) => {
    const bytes = typeof body === 'number' ? Buffer.alloc(body, 'd') : body;
    const payload = Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)]);
    return frame(FRAME_TYPE.data, { flags: FLAG.padded | (end ? FLAG.endStream : 0), stream, payload });
  },
  priority: (stream: number) => frame(FRAME_TYPE.priority, { stream, payload: Buffer.alloc(5) }),
  reset: (stream: number, code: number = ERROR_CODE.CANCEL) =>
    frame(FRAME_TYPE.rstStream, { stream, payload: u32(code) }),
  goaway: (last: number, code: number = ERROR_CODE.NO_ERROR, debug = '') =>
    frame(FRAME_TYPE.goaway, { payload: Buffer.concat([u32(last, code), Buffer.from(debug)]) }),
  windowUpdate: (stream: number, increment: number) =>
    frame(FRAME_TYPE.windowUpdate, { stream, payload: u32(increment) }),
  ping: ({ ack = false } = {}) => frame(FRAME_TYPE.ping, { flags: ack ? FLAG.ack : 0, payload: Buffer.alloc(8, 'p') }),
};

export interface ReadFrame {
  readonly type: number;
  readonly flags: number;
  /** With the reserved bit, if it is set. */
  readonly stream: number;
  readonly payload: Buffer;
  /** The whole frame. */
  readonly bytes: Buffer;
}

/** Cuts bytes into whole frames. @throws Error when a part of one is left over */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const found: ReadFrame[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 9 + (at + 9 <= bytes.length ? bytes.readUIntBE(at, 3) : 0);
    if (end > bytes.length) throw new Error(`a part of a frame is left over at ${at}`);
    const [type = 0, flags = 0] = [bytes[at + 3], bytes[at + 4]];
    const whole = bytes.subarray(at, end);
    found.push({ type, flags, stream: bytes.readUInt32BE(at + 5), payload: whole.subarray(9), bytes: whole });
    at = end;
  }
  return found;
}

const ERROR_NAMES = new Map(Object.entries(ERROR_CODE).map(([name, code]) => [code as number, name]));

/** A frame in a few words, such as `DATA 1 20 END` or `GOAWAY 5 PROTOCOL_ERROR`: what tests compare and print. */
export function inWords({ type, flags, stream, payload }: ReadFrame): string {
  const end = (flags & FLAG.endStream) === 0 ? '' : ' END';
  const open = (flags & FLAG.endHeaders) === 0 ? ' …' : '';
  const ack = (flags & FLAG.ack) === 0 ? '' : ' ACK';
  const error = (at: number) => ERROR_NAMES.get(payload.readUInt32BE(at)) ?? `error ${payload.readUInt32BE(at)}`;
  switch (type) {
    case FRAME_TYPE.data:
      return `DATA ${stream} ${payload.length}${end}`;
    case FRAME_TYPE.headers:
      return `HEADERS ${stream}${end}${open}`;
    case FRAME_TYPE.continuation:
      return `CONTINUATION ${stream}${open}`;
    case FRAME_TYPE.rstStream:
      return `RST_STREAM ${stream} ${error(0)}`;
    case FRAME_TYPE.settings: {
      const entries = Array.from({ length: payload.length / 6 }, (_, index) =>
        [payload.readUInt16BE(index * 6), payload.readUInt32BE(index * 6 + 2)].join('='),
      );
      return ['SETTINGS', ...entries].join(' ') + ack;
    }
    case FRAME_TYPE.ping:
      return `PING${ack}`;
    case FRAME_TYPE.goaway:
      return `GOAWAY ${payload.readUInt32BE(0)} ${error(4)}`;
    case FRAME_TYPE.windowUpdate:
      return `WINDOW_UPDATE ${stream} ${payload.readUInt32BE(0)}`;
    default:
      return `frame ${type} on ${stream}`;
  }
}
