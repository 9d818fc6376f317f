/** How long one direction of a call has been waiting for its reader. */
export class Stall {
  #since: number | undefined;
  #passed = 0;

  /**
   * To be called now and then. A window that is closed each time may have opened in between: if anything has passed, the
   * reader is slow and no more.
   *
   * @param closed whether the window is closed
   * @param passed bytes of the direction so far
   * @param now monotonic, ms
   * @returns ms since it was first seen closed with nothing passing any more; 0: it is not
   */
  look(closed: boolean, passed: number, now: number): number {
    if (!closed) {
      this.#since = undefined;
      return 0;
    }
    if (this.#since === undefined || passed !== this.#passed) this.#since = now;
    this.#passed = passed;
    return now - this.#since;
  }
}
