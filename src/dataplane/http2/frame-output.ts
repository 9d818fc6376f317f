import { DEFAULT_MAX_FRAME_SIZE, FLAG, FRAME_HEADER_BYTES, FRAME_TYPE } from './protocol.ts';

/** A run of bytes up to this long is copied next to our own frames; a longer one is written by itself, bytes. */
const COPY_UP_TO = 4096;
const STAGE_BYTES = 16_384;

/** Stages not in use. Between two events of the loop all are, so there are as many as outputs were ever filled at once. */
const stages: Buffer[] = [];

/**
 * The frames of one direction of an HTTP/2 connection on their way out. Whatever is put in here is whole frames, so that
 * at any time another frame may follow. Nothing is written before {@link FrameOutput.take}, which gives everything
 * gathered since in as few buffers as make sense.
 */
export class FrameOutput {
  #stage: Buffer | undefined;
  /** Where what has not been sealed begins, and where it ends, in the stage. */
  #sealed = 0;
  #used = 0;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** Bytes gathered. */
  get length(): number {
    return this.#bytes;
  }

  /** Passes on a run of a chunk that is whole frames as it is. The chunk must not be changed any more. */
  pass(chunk: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length <= COPY_UP_TO) {
      const stage = this.#roomFor(length);
      chunk.copy(stage, this.#use(length), start, end);
      return;
    }
    this.#seal();
    this.#pieces.push(chunk.subarray(start, end));
    this.#bytes += length;
  }

  data(streamId: number, piece: { chunk: Buffer; start: number; end: number }, endStream: boolean): void {
    this.#header(piece.end - piece.start, FRAME_TYPE.data, endStream ? FLAG.endStream : 0, streamId);
    if (piece.end > piece.start) this.pass(piece.chunk, piece.start, piece.end);
  }

  /**
   * HEADERS, and CONTINUATIONs where it does not fit into one frame.
   *
   * @param parts the header block, in pieces that follow each other
   */
  headers(streamId: number, parts: readonly Buffer[], endStream: boolean): void {
    let length = 0;
    for (const part of parts) length += part.length;
    const flags = endStream ? FLAG.endStream : 0;
    if (length <= DEFAULT_MAX_FRAME_SIZE) {
      this.#header(length, FRAME_TYPE.headers, flags | FLAG.endHeaders, streamId);
      for (const part of parts) this.pass(part, 0, part.length);
      return;
    }
    const block = Buffer.concat(parts, length);
    for (let at = 0; at < length; at += DEFAULT_MAX_FRAME_SIZE) {
      const end = Math.min(at + DEFAULT_MAX_FRAME_SIZE, length);
      const last = end === length ? FLAG.endHeaders : 0;
      this.#header(
        end - at,
        at === 0 ? FRAME_TYPE.headers : FRAME_TYPE.continuation,
        at === 0 ? flags | last : last,
        streamId,
      );
      this.pass(block, at, end);
    }
  }

  rstStream(streamId: number, code: number): void {
    const stage = this.#header(4, FRAME_TYPE.rstStream, 0, streamId);
    stage.writeUInt32BE(code, this.#use(4));
  }

  /** @param streamId 0: the connection's window */
  windowUpdate(streamId: number, increment: number): void {
    const stage = this.#header(4, FRAME_TYPE.windowUpdate, 0, streamId);
    stage.writeUInt32BE(increment, this.#use(4));
  }

  settings(entries: readonly (readonly [id: number, value: number])[]): void {
    const payload = Buffer.allocUnsafe(entries.length * 6);
    entries.forEach(([id, value], index) => {
      payload.writeUInt16BE(id, index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    });
    this.#frame(FRAME_TYPE.settings, 0, payload);
  }

  settingsAck(): void {
    this.#frame(FRAME_TYPE.settings, FLAG.ack, Buffer.alloc(0));
  }

  /** @param payload eight bytes */
  ping(payload: Buffer, ack: boolean): void {
    this.#frame(FRAME_TYPE.ping, ack ? FLAG.ack : 0, payload);
  }

  goaway(lastStreamId: number, code: number): void {
    const payload = Buffer.allocUnsafe(8);
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    this.#frame(FRAME_TYPE.goaway, 0, payload);
  }

  /** Bytes as they are: the client's preface. */
  raw(bytes: Buffer): void {
    this.pass(bytes, 0, bytes.length);
  }

  /** Everything gathered, in order; nothing is left. */
  take(): readonly Buffer[] {
    if (this.#bytes === 0) return NOTHING;
    this.#seal();
    if (this.#stage !== undefined) {
      stages.push(this.#stage);
      this.#stage = undefined;
    }
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = this.#sealed = this.#used = 0;
    return pieces;
  }

  #frame(type: number, flags: number, payload: Buffer): void {
    this.#header(payload.length, type, flags, 0);
    if (payload.length > 0) this.pass(payload, 0, payload.length);
  }

  /** @returns the stage that it stands in, with room for four bytes behind it: the payload of the small frames. */
  #header(length: number, type: number, flags: number, streamId: number): Buffer {
    const stage = this.#roomFor(FRAME_HEADER_BYTES + 4);
    const at = this.#use(FRAME_HEADER_BYTES);
    stage[at] = length >>> 16;
    stage[at + 1] = length >>> 8;
    stage[at + 2] = length;
    stage[at + 3] = type;
    stage[at + 4] = flags;
    stage.writeUInt32BE(streamId, at + 5);
    return stage;
  }

  /** @returns the stage, with room for so many bytes. */
  #roomFor(bytes: number): Buffer {
    if (this.#stage !== undefined && this.#used + bytes > this.#stage.length) {
      this.#seal();
      this.#used = this.#sealed = 0;
    }
    this.#stage ??= stages.pop() ?? Buffer.allocUnsafeSlow(STAGE_BYTES);
    return this.#stage;
  }

  /** @returns where in the stage the bytes are to be put, for which there is room. */
  #use(bytes: number): number {
    const at = this.#used;
    this.#used += bytes;
    this.#bytes += bytes;
    return at;
  }

  /** A copy of what stands in the stage becomes a piece: the stage will be used again. */
  #seal(): void {
    if (this.#stage === undefined || this.#used === this.#sealed) return;
    this.#pieces.push(Buffer.from(this.#stage.subarray(this.#sealed, this.#used)));
    this.#sealed = this.#used;
  }
}

const NOTHING: readonly Buffer[] = [];
