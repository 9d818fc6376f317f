const REMEMBERED = 1024;

/**
 * Streams that ended before both sides had said so: frames that were on their way then still arrive, and are nobody's
 * fault. Of those that ended long ago only a bound is kept.
 */
export class ClosedStreams {
  readonly #ids = new Set<number>();
  #upTo = 0;

  add(streamId: number): void {
    this.#ids.add(streamId);
    if (this.#ids.size <= REMEMBERED) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      this.#upTo = Math.max(this.#upTo, oldest);
      return;
    }
  }

  /** Whether frames of it are to be borne. */
  has(streamId: number): boolean {
    return streamId <= this.#upTo || this.#ids.has(streamId);
  }
}
