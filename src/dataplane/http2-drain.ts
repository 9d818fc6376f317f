import { CLIENT_PREFACE, END_STREAM, FRAME_TYPE, FrameReader, goawayFrame, type FrameHeader } from './http2-frames.ts';

/** Streams of one connection that are followed. A connection with more open at once is not counted any further. */
const MAX_STREAMS = 4096;
/** "Open no more streams; all that you have opened are worked on" (RFC 9113, section 6.8). */
const ANY_STREAM = 0x7fff_ffff;

const CLIENT_ENDED = 1;
const SERVER_ENDED = 2;
const BOTH_ENDED = CLIENT_ENDED | SERVER_ENDED;

/**
 * Watches one plaintext connection and can ask its client, if the two speak HTTP/2, to take its next calls elsewhere:
 * it puts a GOAWAY between two frames of the server. No other byte is added, changed or held back.
 *
 * Asking and ending are two steps. First the client is told to open no more streams, with the highest stream id there
 * is: whatever it has already sent reaches the server, since a tunnel cannot keep it back, so that none of it may be
 * called untouched and be tried again elsewhere. The last stream that was seen is named only together with the end of
 * the connection, when nothing more is passed on. What is not HTTP/2 with prior knowledge is left alone.
 */
export class Http2Drain {
  readonly #toClient: (frame: Buffer) => void;
  readonly #client = new FrameReader((header) => this.#clientFrame(header));
  readonly #server = new FrameReader((header) => this.#serverFrame(header));
  readonly #streams = new Map<number, number>();
  #prefaceBytes = 0;
  #other = false;
  #highest = 0;
  #uncounted = false;
  #wanted = false;
  #serverLeaves = false;

  /** @param toClient writes to the client at once, behind everything that {@link fromServer} has let through. */
  constructor(toClient: (frame: Buffer) => void) {
    this.#toClient = toClient;
  }

  /** Whether the client began as HTTP/2 does, and the server has said nothing to the contrary. */
  get recognised(): boolean {
    return !this.#other && this.#prefaceBytes === CLIENT_PREFACE.length;
  }

  /** Streams that have not ended in both directions; `Infinity` where there were too many to count. */
  get openStreams(): number {
    return this.#uncounted ? Infinity : this.#streams.size;
  }

  /** Whether nothing is under way: no stream is open, and no frame is half sent. */
  get idle(): boolean {
    return this.recognised && this.openStreams === 0 && this.#client.atBoundary && this.#server.atBoundary;
  }

  /** Asks the client to open no more streams, at the next place between two frames of the server. */
  begin(): void {
    this.#wanted = true;
    this.#insertNow();
  }

  /**
   * The last words to the client; from now on nothing it sends may be passed on.
   *
   * @returns `undefined` where none may be said: the server has said its own, or is within a frame.
   */
  lastWords(): Buffer | undefined {
    const fit = this.recognised && this.#atBoundary && !this.#serverLeaves;
    return fit ? goawayFrame(this.#highest) : undefined;
  }

  /** Looks at what the client sends; all of it is to be passed on. */
  fromClient(chunk: Buffer): void {
    if (this.#other) return;
    const start = this.#readPreface(chunk);
    if (this.#other || start === chunk.length) return;
    this.#client.read(chunk, { start });
  }

  /**
   * Looks at what the server sends.
   *
   * @returns what is to be passed on instead of the chunk; `undefined`: the chunk as it is.
   */
  fromServer(chunk: Buffer): readonly Buffer[] | undefined {
    if (this.#other) return undefined;
    if (!this.#mayInsert) {
      this.#server.read(chunk);
      return undefined;
    }
    const at = this.#server.read(chunk, { stopAtBoundary: true });
    // A frame just read may have been the server's own GOAWAY, or none of HTTP/2.
    if (!this.#mayInsert || !this.#atBoundary) {
      if (!this.#other) this.#server.read(chunk, { start: at });
      return undefined;
    }
    this.#wanted = false;
    const rest = chunk.subarray(at);
    this.#server.read(rest);
    return [chunk.subarray(0, at), goawayFrame(ANY_STREAM), rest];
  }

  get #mayInsert(): boolean {
    return this.#wanted && this.recognised && !this.#serverLeaves;
  }

  /** Between two frames of the server, the first of which is its SETTINGS and never one of ours. */
  get #atBoundary(): boolean {
    return this.#server.frames > 0 && this.#server.atBoundary;
  }

  #insertNow(): void {
    if (!this.#mayInsert || !this.#atBoundary) return;
    this.#wanted = false;
    this.#toClient(goawayFrame(ANY_STREAM));
  }

  /** @returns where the frames begin in the chunk. */
  #readPreface(chunk: Buffer): number {
    const missing = CLIENT_PREFACE.length - this.#prefaceBytes;
    if (missing === 0) return 0;
    const here = Math.min(missing, chunk.length);
    const expected = CLIENT_PREFACE.subarray(this.#prefaceBytes, this.#prefaceBytes + here);
    if (!chunk.subarray(0, here).equals(expected)) {
      this.#leaveAlone();
      return chunk.length;
    }
    this.#prefaceBytes += here;
    this.#insertNow();
    return here;
  }

  #clientFrame({ type, flags, streamId }: FrameHeader): void {
    if (type === FRAME_TYPE.headers && streamId > this.#highest && streamId % 2 === 1) {
      this.#highest = streamId;
      if (this.#streams.size >= MAX_STREAMS) this.#uncounted = true;
      else this.#streams.set(streamId, 0);
    }
    this.#ended({ type, flags, streamId }, CLIENT_ENDED);
  }

  #serverFrame({ type, flags, streamId }: FrameHeader): void {
    if (this.#server.frames === 1 && (type !== FRAME_TYPE.settings || streamId !== 0)) this.#leaveAlone();
    else if (type === FRAME_TYPE.goaway) this.#serverLeaves = true;
    else this.#ended({ type, flags, streamId }, SERVER_ENDED);
  }

  #ended({ type, flags, streamId }: Omit<FrameHeader, 'length'>, side: number): void {
    const sofar = this.#streams.get(streamId);
    if (sofar === undefined) return;
    const mayEnd = type === FRAME_TYPE.data || type === FRAME_TYPE.headers;
    const next = mayEnd && (flags & END_STREAM) !== 0 ? sofar | side : sofar;
    if (type === FRAME_TYPE.rstStream || next === BOTH_ENDED) this.#streams.delete(streamId);
    else if (next !== sofar) this.#streams.set(streamId, next);
  }

  #leaveAlone(): void {
    this.#other = true;
    this.#streams.clear();
  }
}
