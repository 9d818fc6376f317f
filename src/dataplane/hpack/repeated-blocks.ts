import type { HeaderBlock } from './header-block.ts';

const SLOTS = 64;
/** A longer block is always decoded again. */
const MAX_BLOCK_BYTES = 512;
/** By the measure of RFC 9113, section 6.5.2. With the number of slots it bounds what a peer can make us keep. */
const MAX_LIST_BYTES = 2048;

/** Of a block up to this size the hash sees every byte; of a longer one the last bytes, and one of each few before. */
const WHOLE_BYTES = 64;
const TAIL_BYTES = 32;
const SAMPLE_STEP = 8;
/** 2³² divided by the golden ratio: it spreads small differences over the upper bits, which choose the slot. */
const HASH_FACTOR = 0x9e37_79b1;

interface Entry {
  readonly hash: number;
  readonly bytes: Buffer;
  readonly block: HeaderBlock;
}

/**
 * Remembers what blocks mean, by their bytes. Most calls of one connection begin with the same bytes, and looking them up
 * costs a fraction of decoding them. A block is kept when its hash comes the second time in a row, so that a stream of ever
 * new blocks costs no more than their hashes. The hash need not resist an attacker: blocks are compared byte by byte, and whoever
 * makes them collide slows down nobody else.
 */
export class RepeatedBlocks {
  readonly #entries: (Entry | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  readonly #seenOnce = new Int32Array(SLOTS);
  #kept = 0;

  /** @returns what these bytes mean, when they were kept. */
  find(bytes: Buffer, hash: number): HeaderBlock | undefined {
    const first = this.#entries[firstSlot(hash)];
    if (first?.hash === hash && isEqual(first.bytes, bytes)) return first.block;
    const second = this.#entries[secondSlot(hash)];
    if (second?.hash === hash && isEqual(second.bytes, bytes)) return second.block;
    return undefined;
  }

  /** Keeps what these bytes mean, if it is not their first time. */
  offer(bytes: Buffer, hash: number, block: HeaderBlock): void {
    if (bytes.length > MAX_BLOCK_BYTES || block.listBytes > MAX_LIST_BYTES) return;
    const first = firstSlot(hash);
    if (this.#seenOnce[first] !== hash) {
      this.#seenOnce[first] = hash;
      return;
    }
    const slot = this.#entries[first] === undefined ? first : secondSlot(hash);
    // A copy: the bytes belong to a buffer that is read into again. Not from Node's pool, of which it would keep a page.
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    copy.set(bytes);
    this.#entries[slot] = { hash, bytes: copy, block };
    this.#kept++;
  }

  /** Forgets all: the table has changed, and with it what the bytes mean. */
  clear(): void {
    if (this.#kept === 0) return;
    this.#entries.fill(undefined);
    this.#kept = 0;
  }
}

function firstSlot(hash: number): number {
  return hash >>> 26;
}

function secondSlot(hash: number): number {
  return (hash >>> 20) & (SLOTS - 1);
}

/**
 * A hash of a block, as a signed 32-bit number; 0 for one that is too long to be kept. Of a long block it sees the end
 * and a sample of the rest: what differs from call to call, such as a trace, a sidecar puts last.
 */
export function blockHash(bytes: Uint8Array): number {
  const length = bytes.length;
  if (length > MAX_BLOCK_BYTES) return 0;
  let hash = length;
  const end = length > WHOLE_BYTES ? length - TAIL_BYTES : 0;
  for (let at = 0; at < end; at += SAMPLE_STEP) hash = Math.imul(hash ^ (bytes[at] ?? 0), HASH_FACTOR);
  for (let at = end; at < length; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), HASH_FACTOR);
  return hash;
}

function isEqual(one: Buffer, other: Buffer): boolean {
  if (one.length !== other.length) return false;
  // A call into Node costs as much as looking at some fifty bytes.
  if (one.length > WHOLE_BYTES) return one.equals(other);
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}
