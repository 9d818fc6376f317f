/** A piece of the chunk that is being read; valid during the call, and longer only if nobody else writes to the chunk. */
export interface DataPiece {
  readonly chunk: Buffer;
  /** Where the piece begins and ends in the chunk. */
  readonly start: number;
  readonly end: number;
  /** Where the frame's own header stands, right in front of the piece, if the piece is all of an unpadded frame; else -1. */
  readonly frameAt: number;
  readonly endStream: boolean;
}

/** Takes what a `FrameReader` reads. Whatever it throws ends the reading. */
export interface FrameSink {
  /** A part of a DATA frame without its padding, as soon as it is there; `endStream` comes with the last part only. */
  data(streamId: number, piece: DataPiece): void;
  /** So many octets of padding have used up the sender's windows. */
  padding(streamId: number, octets: number): void;
  /** A whole header block: HEADERS and all its CONTINUATIONs. */
  headers(streamId: number, block: Buffer, endStream: boolean): void;
  rstStream(streamId: number, code: number): void;
  settings(payload: Buffer): void;
  settingsAck(): void;
  ping(payload: Buffer, ack: boolean): void;
  goaway(lastStreamId: number, code: number): void;
  windowUpdate(streamId: number, increment: number): void;
  /** A frame that tells us nothing: PRIORITY, and types nobody here knows, which a receiver ignores (section 4.1). */
  ignored(): void;
  /** PUSH_PROMISE, which nobody may send here. */
  pushPromise(): void;
}
