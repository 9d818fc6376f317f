import type { FrameReader } from '../http2/frame-reader.ts';

/**
 * Since when one side owes the rest of a frame. Each new frame has its own time: on a busy connection there may be one
 * under way whenever anybody looks.
 */
export class FrameDebt {
  /** Monotonic, ms; `undefined`: nothing is owed. */
  since: number | undefined;
  #completed = 0;

  /** To be called after each chunk. */
  look({ owesFrame, completed }: FrameReader, now: number): void {
    if (!owesFrame) this.since = undefined;
    else if (this.since === undefined || completed !== this.#completed) this.since = now;
    this.#completed = completed;
  }
}
