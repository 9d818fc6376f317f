/** Octets in front of every gRPC message: a flag and the length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;

/** Counts the gRPC messages of one direction of one call as their bytes pass by. Nothing is kept of them. */
export class MessageCount {
  /** Messages that have begun: whose prefix is complete. */
  begun = 0;
  #bodyLeft = 0;
  #prefixBytes = 0;
  #length = 0;

  /** Looks at the bytes from `start` to `end`. */
  count(chunk: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#bodyLeft > 0) {
        const step = Math.min(this.#bodyLeft, end - at);
        this.#bodyLeft -= step;
        at += step;
      } else if (this.#prefixBytes === 0 && end - at >= PREFIX_BYTES) {
        this.#bodyLeft = chunk.readUInt32BE(at + 1);
        this.begun += 1;
        at += PREFIX_BYTES;
      } else {
        // The first octet is the flag; it is shifted out by the four that follow.
        this.#length = this.#prefixBytes === 0 ? 0 : this.#length * 256 + (chunk[at] ?? 0);
        this.#prefixBytes += 1;
        at += 1;
        if (this.#prefixBytes < PREFIX_BYTES) continue;
        this.#bodyLeft = this.#length;
        this.#prefixBytes = 0;
        this.begun += 1;
      }
    }
  }
}
