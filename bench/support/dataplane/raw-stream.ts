import { connect, type Socket } from 'node:net';
import { STREAM_PATH } from './backend.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const [DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE] = [0, 1, 3, 4, 7, 8];
const HEADER_BYTES = 9;
const [END_STREAM, END_HEADERS] = [0x1, 0x4];
const ACK = 0x1;
const MAX_WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;

/**
 * A client of one call that says when its socket is read, which a client of Node does not: it opens every window as far
 * as HTTP/2 allows, so that nothing but the socket holds the sender back.
 */
export class RawStream {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Sends the request; nothing is read. */
  static open(port: number): Promise<RawStream> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      socket.once('error', reject).once('connect', () => {
        socket.off('error', reject);
        socket.pause().write(requestBytes());
        resolve(new RawStream(socket));
      });
    });
  }

  /** Reads the answer to its end, and closes. @throws Error when its body has not so many bytes */
  readAll(expected: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = this.#socket;
      const over = (error?: Error) => {
        socket.removeAllListeners().on('error', () => undefined);
        socket.destroy();
        if (error === undefined) resolve();
        else reject(error);
      };
      let body = 0;
      let rest: Buffer = Buffer.alloc(0);
      socket.once('error', over).once('close', () => over(new Error(`closed after ${body} bytes`)));
      socket.on('data', (chunk: Buffer) => {
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        while (rest.length >= HEADER_BYTES) {
          const length = rest.readUIntBE(0, 3);
          if (rest.length < HEADER_BYTES + length) return;
          const [type = 0, flags = 0] = [rest[3], rest[4]];
          rest = rest.subarray(HEADER_BYTES + length);
          if (type === DATA) body += length;
          if (type === SETTINGS && (flags & ACK) === 0) socket.write(frame(SETTINGS, { flags: ACK }));
          if (type === RST_STREAM || type === GOAWAY) return over(new Error(`frame ${type} after ${body} bytes`));
          if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) {
            return over(body === expected ? undefined : new Error(`${body} bytes came, not ${expected}`));
          }
        }
      });
      socket.resume();
    });
  }
}

function requestBytes(): Buffer {
  const window = Buffer.alloc(6);
  window.writeUInt16BE(4, 0); // SETTINGS_INITIAL_WINDOW_SIZE
  window.writeUInt32BE(MAX_WINDOW, 2);
  const increment = Buffer.alloc(4);
  increment.writeUInt32BE(MAX_WINDOW - DEFAULT_WINDOW);
  // HPACK (RFC 7541): `:method: GET`, `:scheme: http` are static; `:path` and `:authority` literals without indexing.
  const text = (index: number, value: string) =>
    Buffer.concat([Buffer.from([index, value.length]), Buffer.from(value)]);
  const block = Buffer.concat([Buffer.from([0x82, 0x86]), text(0x04, STREAM_PATH), text(0x01, 'callee')]);
  return Buffer.concat([
    Buffer.from(PREFACE),
    frame(SETTINGS, { payload: window }),
    frame(WINDOW_UPDATE, { payload: increment }),
    frame(HEADERS, { flags: END_STREAM | END_HEADERS, stream: 1, payload: block }),
  ]);
}

function frame(type: number, { flags = 0, stream = 0, payload = Buffer.alloc(0) } = {}): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}
