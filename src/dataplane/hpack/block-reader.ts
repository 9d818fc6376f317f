import { HpackError } from './hpack-error.ts';
import { decodeHuffman } from './huffman.ts';

/** Octets of an integer behind its prefix: enough for 2³¹−1. */
const MAX_INTEGER_OCTETS = 5;
const MAX_INTEGER = 0x7fff_ffff;

/** Reads the primitive types of HPACK (RFC 7541, section 5) from one block. */
export class BlockReader {
  readonly #block: Buffer;
  #at = 0;
  /** The whole block as text, once a part of it was wanted: parts of a text cost less than parts of a buffer. */
  #text: string | undefined;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get atEnd(): boolean {
    return this.#at === this.#block.length;
  }

  /** The octet that comes next; it says what is to be read. */
  get first(): number {
    return this.#block[this.#at] ?? 0;
  }

  /**
   * Reads an integer (section 5.1).
   *
   * @param prefix the largest number that its first octet can hold, 2^N − 1.
   * @throws HpackError when it is cut short, has more than five octets behind the first, or is not less than 2³¹.
   */
  integer(prefix: number): number {
    if (this.atEnd) throw new HpackError('the block ends where an integer should begin');
    const inPrefix = this.first & prefix;
    this.#at++;
    return inPrefix < prefix ? inPrefix : this.#longInteger(prefix);
  }

  #longInteger(prefix: number): number {
    let value = prefix;
    for (let octets = 0; octets < MAX_INTEGER_OCTETS; octets++) {
      const octet = this.#block[this.#at];
      if (octet === undefined) throw new HpackError('the block ends within an integer');
      this.#at++;
      // Not a shift: the fifth octet reaches beyond 32 bits.
      value += (octet & 0x7f) * 2 ** (7 * octets);
      if (octet < 0x80) {
        if (value > MAX_INTEGER) throw new HpackError('an integer is larger than 2³¹−1');
        return value;
      }
    }
    throw new HpackError('an integer has more than five octets behind the first');
  }

  /**
   * Reads a string (section 5.2).
   *
   * @param kept whether it outlives the block, and so must not keep the text of the whole block alive.
   * @returns the octets as latin1.
   * @throws HpackError when it is cut short or badly coded.
   */
  string(kept: boolean): string {
    const isHuffman = this.first >= 0x80;
    const length = this.integer(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > this.#block.length) throw new HpackError('a string is longer than what is left of the block');
    this.#at = end;
    if (isHuffman) return decodeHuffman(this.#block, start, end);
    if (kept) return this.#block.toString('latin1', start, end);
    this.#text ??= this.#block.toString('latin1');
    return this.#text.slice(start, end);
  }
}
