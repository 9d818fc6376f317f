import type { Duplex } from 'node:stream';
import { HpackDecoder } from '../../src/dataplane/hpack/decoder.ts';
import { encodeFields } from '../../src/dataplane/hpack/encoder.ts';
import { CLIENT_PREFACE, ERROR_CODE, FLAG, FRAME_TYPE, type ErrorName } from '../../src/dataplane/http2/protocol.ts';
import { frame } from './http2-bytes.ts';
import { within } from './within.ts';

export interface HeardFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** What a stream came to, field by field; of several fields of one name the last. */
export interface RawAnswer {
  readonly head: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  /** Bytes of DATA. */
  readonly bytes: number;
  readonly resetCode: number | undefined;
}

/** Fields of a call, pseudo-headers first; an array where a name comes twice or the order matters. */
export type RawFields = readonly (readonly [name: string, value: string])[];

export const GRPC_CALL: RawFields = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/interop.Test/Unary'],
  [':authority', 'researcher'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

/** A GET with these fields behind the usual ones. */
export function get(path: string, ...more: RawFields): RawFields {
  return [[':method', 'GET'], [':scheme', 'http'], [':path', path], [':authority', 'researcher'], ...more];
}

export function fieldsBlock(fields: RawFields): Buffer {
  return encodeFields(fields.map(([name, value]) => ({ name, value })));
}

const MAX_HEARD = 10_000;

export interface RawHttp2Options {
  /** What was read of the connection already. */
  readonly before?: Buffer;
  /** A server hears the preface first. Default `client`. */
  readonly role?: 'client' | 'server';
  /** False for who is in the middle of a frame for long. */
  readonly acknowledges?: boolean;
}

/**
 * One end of an HTTP/2 connection of which the test writes every frame itself, well-formed or not, and reads every frame
 * that comes. It acknowledges SETTINGS and PING, and does nothing else on its own.
 */
export class RawHttp2 {
  readonly socket: Duplex;
  /** Settles when the connection is gone, however. */
  readonly closed: Promise<void>;
  readonly heard: HeardFrame[] = [];
  /** The blocks of HEADERS, by stream, in order. */
  readonly #blocks = new Map<number, { readonly fields: Record<string, string>; readonly end: boolean }[]>();
  readonly #decoder = new HpackDecoder({ maxListBytes: 1_000_000 });
  readonly #acknowledges: boolean;
  #rest = Buffer.alloc(0);
  #skip: number;
  #over = false;
  #wake = (): void => undefined;

  constructor(
    socket: Duplex,
    { before = Buffer.alloc(0), role = 'client', acknowledges = true }: RawHttp2Options = {},
  ) {
    this.socket = socket;
    this.#acknowledges = acknowledges;
    this.#skip = role === 'server' ? CLIENT_PREFACE.length : 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.closed = new Promise((resolve) => {
      const done = () => {
        this.#over = true;
        this.#wake();
        resolve();
      };
      socket.once('end', done);
      socket.once('close', done);
    });
    if (before.length > 0) this.#take(before);
  }

  /** Preface and SETTINGS of a client. @param settings pairs of id and value */
  begin(settings: readonly (readonly [number, number])[] = []): this {
    this.send(CLIENT_PREFACE, settingsFrame(settings));
    return this;
  }

  send(...pieces: readonly Uint8Array[]): void {
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(Buffer.concat(pieces));
  }

  /** Writes as fast as the other side takes it, and no faster; ends early when the connection does. */
  async flood(pieces: Iterable<Buffer>): Promise<void> {
    for (const piece of pieces) {
      if (this.#over || this.socket.destroyed || !this.socket.writable) return;
      if (this.socket.write(piece)) continue;
      await new Promise<void>((resolve) => {
        this.socket.once('drain', resolve);
        this.socket.once('close', resolve);
        this.socket.once('error', () => resolve());
      });
    }
  }

  headers(stream: number, fields: RawFields, { end = false } = {}): void {
    const flags = FLAG.endHeaders | (end ? FLAG.endStream : 0);
    this.send(frame(FRAME_TYPE.headers, { flags, stream, payload: fieldsBlock(fields) }));
  }

  data(stream: number, payload: Buffer, { end = false } = {}): void {
    this.send(frame(FRAME_TYPE.data, { flags: end ? FLAG.endStream : 0, stream, payload }));
  }

  /** One call without a body, and what came of it. */
  async call(stream: number, fields: RawFields): Promise<RawAnswer> {
    this.headers(stream, fields, { end: true });
    return this.answer(stream);
  }

  /** Awaits the first frame, of those heard and to come, that satisfies. @throws Error when the connection ends before */
  async hear(satisfies: (heard: HeardFrame) => boolean, what: string, deadlineMs?: number): Promise<HeardFrame> {
    let seen = 0;
    const found = async (): Promise<HeardFrame> => {
      for (;;) {
        for (; seen < this.heard.length; seen += 1) {
          const here = this.heard[seen];
          if (here !== undefined && satisfies(here)) return here;
        }
        if (this.#over) throw new Error(`the connection ended before ${what}; it said ${this.#said()}`);
        await this.#news();
      }
    };
    return within(found(), what, deadlineMs);
  }

  /** The error code of the GOAWAY that ends it; one without an error asks to leave, and ends nothing. */
  async goaway(deadlineMs?: number): Promise<ErrorName | undefined> {
    const failing = ({ type, payload }: HeardFrame) => type === FRAME_TYPE.goaway && payload.readUInt32BE(4) !== 0;
    return nameOf((await this.hear(failing, 'GOAWAY', deadlineMs)).payload.readUInt32BE(4));
  }

  /** Awaits the end of a stream, by either side's flag or reset. @throws Error when the connection ends before */
  async answer(stream: number, deadlineMs?: number): Promise<RawAnswer> {
    const ends = (heard: HeardFrame) =>
      heard.stream === stream &&
      (heard.type === FRAME_TYPE.rstStream ||
        ((heard.type === FRAME_TYPE.headers || heard.type === FRAME_TYPE.data) &&
          (heard.flags & FLAG.endStream) !== 0));
    const last = await this.hear(ends, `the end of stream ${stream}`, deadlineMs);
    const blocks = (this.#blocks.get(stream) ?? []).filter(({ fields }) => fields[':status']?.startsWith('1') !== true);
    const head = blocks.find(({ fields }) => fields[':status'] !== undefined)?.fields ?? {};
    const trailers = blocks.find(({ fields, end }) => end && fields !== head)?.fields ?? {};
    return {
      head,
      trailers,
      bytes: this.heard
        .filter((heard) => heard.type === FRAME_TYPE.data && heard.stream === stream)
        .reduce((sum, { payload }) => sum + payload.length, 0),
      resetCode: last.type === FRAME_TYPE.rstStream ? last.payload.readUInt32BE(0) : undefined,
    };
  }

  /** The fields of every block of a stream, as they came. */
  blocks(stream: number): readonly Readonly<Record<string, string>>[] {
    return (this.#blocks.get(stream) ?? []).map(({ fields }) => fields);
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake;
      this.#wake = () => {
        before();
        resolve();
      };
    });
  }

  #said(): string {
    return this.heard.map(({ type, stream }) => `${type}/${stream}`).join(' ');
  }

  #take(chunk: Buffer): void {
    let at = Math.min(this.#skip, chunk.length);
    this.#skip -= at;
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(at)]);
    at = 0;
    while (this.#rest.length - at >= 9 && this.#rest.length - at >= 9 + this.#rest.readUIntBE(at, 3)) {
      const end = at + 9 + this.#rest.readUIntBE(at, 3);
      const [type = 0, flags = 0] = [this.#rest[at + 3], this.#rest[at + 4]];
      const stream = this.#rest.readUInt32BE(at + 5) & 0x7fff_ffff;
      this.#hear({ type, flags, stream, payload: Buffer.from(this.#rest.subarray(at + 9, end)) });
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
    const wake = this.#wake;
    this.#wake = () => undefined;
    wake();
  }

  #hear(heard: HeardFrame): void {
    const { type, flags, stream, payload } = heard;
    if (this.heard.length < MAX_HEARD) this.heard.push(heard);
    if (this.#acknowledges && (type === FRAME_TYPE.settings || type === FRAME_TYPE.ping) && (flags & FLAG.ack) === 0) {
      this.send(frame(type, { flags: FLAG.ack, payload: type === FRAME_TYPE.ping ? payload : Buffer.alloc(0) }));
    }
    if (type !== FRAME_TYPE.headers) return;
    const decoded = this.#decoder.decode(payload);
    const fields = Object.fromEntries(decoded.fields.map(({ name, value }) => [name, value]));
    const end = (flags & FLAG.endStream) !== 0;
    this.#blocks.set(stream, [...(this.#blocks.get(stream) ?? []), { fields, end }]);
  }
}

export function settingsFrame(settings: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6);
  for (const [at, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, at * 6);
    payload.writeUInt32BE(value, at * 6 + 2);
  }
  return frame(FRAME_TYPE.settings, { payload });
}

function nameOf(code: number): ErrorName | undefined {
  return (Object.keys(ERROR_CODE) as ErrorName[]).find((name) => ERROR_CODE[name] === code);
}
