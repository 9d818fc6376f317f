/** What a client sends first on an HTTP/2 connection (RFC 9113, section 3.4). */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Types of frames (RFC 9113, section 6), as far as anybody here looks at them. */
export const FRAME_TYPE = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  goaway: 7,
  continuation: 9,
} as const;

export const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const HEADER_BYTES = 9;

/** The nine bytes in front of every frame (RFC 9113, section 4.1). */
export interface FrameHeader {
  /** Of the payload that follows, in bytes. */
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
}

/**
 * Follows the frames of one direction of an HTTP/2 connection, however the bytes are cut into chunks. It looks at frame
 * headers only and keeps nothing but nine bytes of one that is cut in two. It judges nothing: what is not HTTP/2 comes
 * out as odd frames, never as an error.
 */
export class FrameReader {
  readonly #onFrame: (header: FrameHeader) => void;
  readonly #header = Buffer.allocUnsafe(HEADER_BYTES);
  #headerBytes = 0;
  #payloadLeft = 0;
  #frames = 0;
  #inHeaderBlock = false;

  /** @param onFrame called at the end of each frame header; the payload may still be on its way. */
  constructor(onFrame: (header: FrameHeader) => void) {
    this.#onFrame = onFrame;
  }

  /** How many frames have begun. */
  get frames(): number {
    return this.#frames;
  }

  /** Whether another frame may be put in here: between two frames, and not inside a header block (section 4.3). */
  get atBoundary(): boolean {
    return this.#headerBytes === 0 && this.#payloadLeft === 0 && !this.#inHeaderBlock;
  }

  /**
   * Reads on.
   *
   * @param stopAtBoundary ends after the first frame behind which another one may be put.
   * @returns how many bytes of the chunk, from `start` on, have been read: all, or as many as lie before that place.
   */
  read(chunk: Buffer, { start = 0, stopAtBoundary = false } = {}): number {
    let at = start;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const step = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= step;
        at += step;
      } else at = this.#readHeader(chunk, at);
      if (stopAtBoundary && this.atBoundary) break;
    }
    return at - start;
  }

  #readHeader(chunk: Buffer, at: number): number {
    if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
      this.#begin(chunk, at);
      return at + HEADER_BYTES;
    }
    const step = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at);
    chunk.copy(this.#header, this.#headerBytes, at, at + step);
    this.#headerBytes += step;
    if (this.#headerBytes === HEADER_BYTES) {
      this.#headerBytes = 0;
      this.#begin(this.#header, 0);
    }
    return at + step;
  }

  #begin(bytes: Buffer, at: number): void {
    const length = bytes.readUIntBE(at, 3);
    const [type = 0, flags = 0] = [bytes[at + 3], bytes[at + 4]];
    this.#payloadLeft = length;
    this.#frames += 1;
    const opensBlock = type === FRAME_TYPE.headers || type === FRAME_TYPE.pushPromise;
    if (opensBlock || type === FRAME_TYPE.continuation) this.#inHeaderBlock = (flags & END_HEADERS) === 0;
    this.#onFrame({ length, type, flags, streamId: bytes.readUInt32BE(at + 5) & 0x7fff_ffff });
  }
}

/**
 * A GOAWAY frame that gives no error (RFC 9113, section 6.8).
 *
 * @param lastStreamId the last stream that was or may yet be worked on, 0 to 2³¹−1.
 */
export function goawayFrame(lastStreamId: number): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + 8);
  frame.writeUIntBE(8, 0, 3);
  frame[3] = FRAME_TYPE.goaway;
  frame.writeUInt32BE(lastStreamId, HEADER_BYTES);
  return frame;
}
