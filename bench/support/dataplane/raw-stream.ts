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
  #rest: Buffer = Buffer.alloc(0);
  #bodyBytes = 0;
  #state: 'open' | 'finished' | 'broken' = 'open';

  private constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.on('error', () => (this.#state = 'broken')).once('close', () => this.#closed());
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.write(requestBytes());
  }

  /** Sends the request and reads until the body begins; from then on nothing is read. */
  static async open(port: number): Promise<RawStream> {
    const stream = new RawStream(port);
    await stream.#until(() => stream.#bodyBytes > 0);
    stream.#socket.pause();
    return stream;
  }

  /** Reads the answer to its end, and closes. @throws Error when its body has not so many bytes */
  async readAll(expected: number): Promise<void> {
    this.#socket.resume();
    await this.#until(() => this.#state === 'finished');
    this.#socket.destroy();
    if (this.#bodyBytes !== expected) throw new Error(`${this.#bodyBytes} bytes came, not ${expected}`);
  }

  #until(reached: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!reached() && this.#state !== 'broken') return;
        this.#socket.off('data', look).off('close', look);
        if (reached()) resolve();
        else reject(new Error(`the answer broke off after ${this.#bodyBytes} bytes`));
      };
      this.#socket.on('data', look).on('close', look);
    });
  }

  #closed(): void {
    if (this.#state === 'open') this.#state = 'broken';
  }

  #read(chunk: Buffer): void {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (rest.length >= HEADER_BYTES) {
      const length = rest.readUIntBE(0, 3);
      if (rest.length < HEADER_BYTES + length) break;
      this.#take({ type: rest[3] ?? 0, flags: rest[4] ?? 0, length });
      rest = rest.subarray(HEADER_BYTES + length);
    }
    this.#rest = rest;
  }

  #take({ type, flags, length }: { type: number; flags: number; length: number }): void {
    if (type === DATA) this.#bodyBytes += length;
    if (type === SETTINGS && (flags & ACK) === 0) this.#socket.write(frame(SETTINGS, { flags: ACK }));
    if (type === RST_STREAM || type === GOAWAY) this.#socket.destroy();
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) this.#state = 'finished';
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
