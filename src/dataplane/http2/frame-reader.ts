import type { FrameSink } from './frame-sink.ts';
import {
  ConnectionError,
  DEFAULT_MAX_FRAME_SIZE,
  FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  MAX_31_BITS,
} from './protocol.ts';

export interface FrameReaderLimits {
  /** Header block with all its CONTINUATIONs, in bytes. */
  readonly maxBlockBytes: number;
  /** CONTINUATION frames of one block. */
  readonly maxContinuations: number;
}

const EMPTY = Buffer.alloc(0);
/** Around the block in a HEADERS frame: the length of the padding, the padding, and a priority, bytes (section 6.2). */
const MOST_AROUND_BLOCK = 1 + 255 + 5;

/**
 * Reads the frames of one direction of an HTTP/2 connection, however its bytes are cut into chunks (RFC 9113, sections 4
 * and 6). What frames say about themselves is checked here: length, stream 0 or not, padding, order of CONTINUATIONs;
 * what they mean together is the sink's business. DATA is handed on as it comes; of all others at most one frame, or one
 * header block, is held.
 */
export class FrameReader {
  /** Largest payload of a frame, as the other side was told. */
  maxFrame = DEFAULT_MAX_FRAME_SIZE;
  /** How many frames have been read, a header block being one. Tells whether {@link owesFrame} speaks of the same one. */
  completed = 0;
  readonly #sink: FrameSink;
  readonly #limits: FrameReaderLimits;

  // The frame that has begun and is not complete.
  #held: Buffer | undefined;
  #heldBytes = 0;
  readonly #header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  #headerBytes = 0;

  // The DATA frame whose payload is still coming.
  #dataStream = 0;
  #dataLeft = 0;
  #padLeft = 0;
  #padLengthPending = false;
  #dataEnds = false;

  // The frame that says nothing to anybody here, and whose payload is still coming.
  #skipLeft = 0;

  // The header block whose CONTINUATIONs are still coming.
  #blockStream = 0;
  #blockEnds = false;
  #block: Buffer[] = [];
  #blockBytes = 0;
  #continuations = 0;

  constructor(sink: FrameSink, limits: FrameReaderLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  /** Whether a frame has begun that has to be held, or a header block, and is not complete: it must come soon. */
  get owesFrame(): boolean {
    return this.#headerBytes > 0 || this.#held !== undefined || this.#blockStream !== 0;
  }

  /** @throws ConnectionError when the sender broke the protocol; nothing may be read after that. */
  read(chunk: Buffer, from = 0): void {
    const { length } = chunk;
    let at = from;
    while (at < length) {
      if (this.#dataLeft > 0 || this.#padLeft > 0 || this.#padLengthPending) at = this.#readData(chunk, at, -1);
      else if (this.#skipLeft > 0) at = this.#skip(chunk, at);
      else if (this.#held !== undefined) at = this.#readHeld(this.#held, chunk, at);
      else if (this.#headerBytes === 0 && length - at >= FRAME_HEADER_BYTES) at = this.#begin(chunk, at, chunk, at);
      else at = this.#readHeader(chunk, at);
    }
  }

  #readHeader(chunk: Buffer, at: number): number {
    const step = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, chunk.length - at);
    chunk.copy(this.#header, this.#headerBytes, at, at + step);
    this.#headerBytes += step;
    if (this.#headerBytes < FRAME_HEADER_BYTES) return at + step;
    this.#headerBytes = 0;
    return this.#begin(this.#header, 0, chunk, at + step - FRAME_HEADER_BYTES);
  }

  /**
   * A frame header is complete.
   *
   * @param at where the frame would begin in the chunk, had it come in one piece; may be negative
   */
  #begin(header: Buffer, headerAt: number, chunk: Buffer, at: number): number {
    const length = header.readUIntBE(headerAt, 3);
    const type = header[headerAt + 3] ?? 0;
    const flags = header[headerAt + 4] ?? 0;
    const streamId = header.readUInt32BE(headerAt + 5) & MAX_31_BITS;
    const payloadAt = at + FRAME_HEADER_BYTES;
    if (this.#blockStream !== 0 && (type !== FRAME_TYPE.continuation || streamId !== this.#blockStream)) {
      throw new ConnectionError('PROTOCOL_ERROR', 'a header block was interrupted by another frame');
    }
    if (type === FRAME_TYPE.data) {
      this.#beginData(length, flags, streamId);
      // What is passed on as it is must not carry flags that DATA does not have, or the reserved bit.
      const isPlain = flags <= FLAG.endStream && (header[headerAt + 5] ?? 0) < 0x80;
      const isWhole = isPlain && header === chunk && payloadAt + length <= chunk.length;
      if (length === 0) {
        const endStream = (flags & FLAG.endStream) !== 0;
        this.#sink.data(streamId, { chunk, start: payloadAt, end: payloadAt, frameAt: isWhole ? at : -1, endStream });
        return payloadAt;
      }
      return this.#readData(chunk, payloadAt, isWhole ? at : -1);
    }
    if (length > DEFAULT_MAX_FRAME_SIZE) this.#mayBeLarge(type, length);
    if (type > FRAME_TYPE.continuation) {
      this.#sink.ignored();
      this.completed += 1;
      this.#skipLeft = length;
      return payloadAt;
    }
    if (payloadAt + length <= chunk.length) {
      this.#frame(type, flags, streamId, length === 0 ? EMPTY : chunk.subarray(payloadAt, payloadAt + length));
      return payloadAt + length;
    }
    // The header is kept with its payload, since the rest comes with other chunks.
    this.#held = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
    header.copy(this.#held, 0, headerAt, headerAt + FRAME_HEADER_BYTES);
    this.#heldBytes = FRAME_HEADER_BYTES;
    return payloadAt;
  }

  /** What has to be held as a whole may be larger than what everybody takes only where it is a header block. */
  #mayBeLarge(type: number, length: number): void {
    const isUnknown = type > FRAME_TYPE.continuation;
    const isBlock = type === FRAME_TYPE.headers || type === FRAME_TYPE.continuation;
    if (length > this.maxFrame || !(isUnknown || isBlock)) {
      throw new ConnectionError('FRAME_SIZE_ERROR', `a frame of type ${type} with ${length} bytes`);
    }
    if (isBlock && length > this.#limits.maxBlockBytes + MOST_AROUND_BLOCK) this.#tooLong();
  }

  #skip(chunk: Buffer, at: number): number {
    const step = Math.min(this.#skipLeft, chunk.length - at);
    this.#skipLeft -= step;
    return at + step;
  }

  #readHeld(held: Buffer, chunk: Buffer, at: number): number {
    const step = Math.min(held.length - this.#heldBytes, chunk.length - at);
    chunk.copy(held, this.#heldBytes, at, at + step);
    this.#heldBytes += step;
    if (this.#heldBytes === held.length) {
      this.#held = undefined;
      this.#frame(held[3] ?? 0, held[4] ?? 0, held.readUInt32BE(5) & MAX_31_BITS, held.subarray(FRAME_HEADER_BYTES));
    }
    return at + step;
  }

  #beginData(length: number, flags: number, streamId: number): void {
    if (streamId === 0) throw new ConnectionError('PROTOCOL_ERROR', 'DATA on stream 0');
    if (length > this.maxFrame) throw new ConnectionError('FRAME_SIZE_ERROR', `a DATA frame of ${length} bytes`);
    const isPadded = (flags & FLAG.padded) !== 0;
    if (isPadded && length === 0) throw new ConnectionError('FRAME_SIZE_ERROR', 'padded DATA without a pad length');
    this.completed += 1;
    this.#dataStream = streamId;
    this.#dataEnds = (flags & FLAG.endStream) !== 0;
    this.#dataLeft = isPadded ? length - 1 : length;
    this.#padLengthPending = isPadded;
  }

  /** @param frameAt where the header of the frame stands, if all of it is in the chunk and nothing of it has been read */
  #readData(chunk: Buffer, at: number, frameAt: number): number {
    if (this.#padLengthPending) {
      if (at === chunk.length) return at;
      const padLength = chunk[at] ?? 0;
      if (padLength > this.#dataLeft) throw new ConnectionError('PROTOCOL_ERROR', 'more padding than DATA');
      this.#padLengthPending = false;
      this.#dataLeft -= padLength;
      this.#padLeft = padLength;
      this.#sink.padding(this.#dataStream, padLength + 1);
      if (this.#dataLeft === 0) {
        this.#sink.data(this.#dataStream, {
          chunk,
          start: at + 1,
          end: at + 1,
          frameAt: -1,
          endStream: this.#dataEnds,
        });
      }
      return at + 1;
    }
    if (this.#dataLeft > 0) {
      const end = Math.min(at + this.#dataLeft, chunk.length);
      if (end === at) return at;
      this.#dataLeft -= end - at;
      const endStream = this.#dataEnds && this.#dataLeft === 0;
      this.#sink.data(this.#dataStream, { chunk, start: at, end, frameAt, endStream });
      return end;
    }
    const step = Math.min(this.#padLeft, chunk.length - at);
    this.#padLeft -= step;
    return at + step;
  }

  #frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    this.#tell(type, flags, streamId, payload);
    if (this.#blockStream === 0) this.completed += 1;
  }

  #tell(type: number, flags: number, streamId: number, payload: Buffer): void {
    const sink = this.#sink;
    switch (type) {
      case FRAME_TYPE.headers:
        this.#headers(flags, streamId, payload);
        return;
      case FRAME_TYPE.continuation:
        this.#continuation(flags, streamId, payload);
        return;
      case FRAME_TYPE.windowUpdate: {
        exactly(payload, 4, 'WINDOW_UPDATE');
        sink.windowUpdate(streamId, payload.readUInt32BE(0) & MAX_31_BITS);
        return;
      }
      case FRAME_TYPE.rstStream:
        onStream(streamId, 'RST_STREAM');
        exactly(payload, 4, 'RST_STREAM');
        sink.rstStream(streamId, payload.readUInt32BE(0));
        return;
      case FRAME_TYPE.settings:
        onConnection(streamId, 'SETTINGS');
        if ((flags & FLAG.ack) !== 0) {
          exactly(payload, 0, 'SETTINGS ACK');
          sink.settingsAck();
          return;
        }
        if (payload.length % 6 !== 0) throw new ConnectionError('FRAME_SIZE_ERROR', 'SETTINGS of a broken length');
        sink.settings(payload);
        return;
      case FRAME_TYPE.ping:
        onConnection(streamId, 'PING');
        exactly(payload, 8, 'PING');
        sink.ping(payload, (flags & FLAG.ack) !== 0);
        return;
      case FRAME_TYPE.goaway:
        onConnection(streamId, 'GOAWAY');
        if (payload.length < 8) throw new ConnectionError('FRAME_SIZE_ERROR', 'GOAWAY of less than 8 bytes');
        sink.goaway(payload.readUInt32BE(0) & MAX_31_BITS, payload.readUInt32BE(4));
        return;
      case FRAME_TYPE.priority:
        onStream(streamId, 'PRIORITY');
        exactly(payload, 5, 'PRIORITY');
        sink.ignored();
        return;
      case FRAME_TYPE.pushPromise:
        sink.pushPromise();
        return;
      default:
      // Of other types no frame is held.
    }
  }

  #headers(flags: number, streamId: number, payload: Buffer): void {
    onStream(streamId, 'HEADERS');
    let [start, end] = [0, payload.length];
    if ((flags & FLAG.padded) !== 0) {
      if (end === 0) throw new ConnectionError('FRAME_SIZE_ERROR', 'padded HEADERS without a pad length');
      end -= payload[0] ?? 0;
      start = 1;
    }
    if ((flags & FLAG.priority) !== 0) {
      start += 5;
      if (start > payload.length) throw new ConnectionError('FRAME_SIZE_ERROR', 'HEADERS too short for a priority');
    }
    if (start > end) throw new ConnectionError('PROTOCOL_ERROR', 'more padding than HEADERS');
    const fragment = start === 0 && end === payload.length ? payload : payload.subarray(start, end);
    const endStream = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) {
      this.#sink.headers(streamId, fragment, endStream);
      return;
    }
    this.#blockStream = streamId;
    this.#blockEnds = endStream;
    this.#continuations = 0;
    this.#blockBytes = 0;
    this.#keep(fragment);
  }

  #continuation(flags: number, streamId: number, payload: Buffer): void {
    if (this.#blockStream === 0) throw new ConnectionError('PROTOCOL_ERROR', 'CONTINUATION without HEADERS');
    this.#continuations += 1;
    if (this.#continuations > this.#limits.maxContinuations) {
      throw new ConnectionError('ENHANCE_YOUR_CALM', `more than ${this.#limits.maxContinuations} CONTINUATIONs`);
    }
    this.#keep(payload);
    if ((flags & FLAG.endHeaders) === 0) return;
    const block = Buffer.concat(this.#block, this.#blockBytes);
    this.#block = [];
    this.#blockStream = 0;
    this.#sink.headers(streamId, block, this.#blockEnds);
  }

  /** A copy: the chunk that a fragment lies in may be much larger than the fragment, and must not be kept alive. */
  #keep(fragment: Buffer): void {
    this.#blockBytes += fragment.length;
    if (this.#blockBytes > this.#limits.maxBlockBytes) this.#tooLong();
    if (fragment.length > 0) this.#block.push(Buffer.from(fragment));
  }

  #tooLong(): never {
    throw new ConnectionError('ENHANCE_YOUR_CALM', `a header block of more than ${this.#limits.maxBlockBytes} bytes`);
  }
}

function exactly(payload: Buffer, bytes: number, what: string): void {
  if (payload.length === bytes) return;
  throw new ConnectionError('FRAME_SIZE_ERROR', `${what} with ${payload.length} bytes instead of ${bytes}`);
}

function onStream(streamId: number, what: string): void {
  if (streamId === 0) throw new ConnectionError('PROTOCOL_ERROR', `${what} on stream 0`);
}

function onConnection(streamId: number, what: string): void {
  if (streamId !== 0) throw new ConnectionError('PROTOCOL_ERROR', `${what} on stream ${streamId}`);
}
