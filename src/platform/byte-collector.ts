/**
 * Bytes that arrive in pieces, as one. However small the pieces are, it holds at most twice their length and takes time
 * linear in it: a list of pieces costs a hundred bytes for each, so that whoever sends single bytes could fill the memory.
 */
export class ByteCollector {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The first piece is kept as it is: it has no room left, so that nothing is ever written into it. */
  push(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (this.#length === 0) this.#bytes = piece;
    else {
      if (length > this.#bytes.length) this.#grow(Math.max(length, 2 * this.#bytes.length));
      piece.copy(this.#bytes, this.#length);
    }
    this.#length = length;
  }

  /** Gives everything, and forgets it. */
  take(): Buffer {
    const whole = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    return whole;
  }

  #grow(capacity: number): void {
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
