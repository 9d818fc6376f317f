import { HpackError } from './hpack-error.ts';

const EOS = 256;

/**
 * How many bits the code of each octet has, and at the end that of EOS (RFC 7541, appendix B). This is all there is to
 * say: codes of one length are consecutive numbers in the order of their octets.
 */
// prettier-ignore
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const LONGEST_CODE = 30;
const SHORTEST_CODE = 5;

/** An entry of the state machine: the next state in the low byte, above it an octet if one has been completed. */
const EMITS = 0x1_0000;
const REFUSED = 0x2_0000;

/** The states that may end a string: up to seven bits into EOS (section 5.2). {@link codeTree} numbers them so. */
const LAST_FINAL_STATE = 7;

/**
 * The tree of all codes: the children of node n at 2n and 2n+1. A leaf is the complement of its octet. EOS goes in
 * first, so that node n, up to 29, is what n bits of EOS lead to.
 */
function codeTree(): Int16Array {
  const tree = new Int16Array(2 * EOS);
  let nodes = 1;
  const grow = (symbol: number, code: number, bits: number): void => {
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const at = 2 * node + ((code >>> bit) & 1);
      if (tree[at] === 0) tree[at] = nodes++;
      node = tree[at] ?? 0;
    }
    tree[2 * node + (code & 1)] = ~symbol;
  };
  grow(EOS, 2 ** LONGEST_CODE - 1, LONGEST_CODE);
  let code = 0;
  for (let bits = SHORTEST_CODE; bits <= LONGEST_CODE; bits++, code *= 2) {
    for (let symbol = 0; symbol < EOS; symbol++) if (CODE_BITS[symbol] === bits) grow(symbol, code++, bits);
  }
  return tree;
}

/** Follows the tree four bits at a time: no code is shorter than five, so that four complete one octet at most. */
function buildMachine(): Uint32Array {
  const tree = codeTree();
  const machine = new Uint32Array(EOS * 16);
  for (let entry = 0; entry < machine.length; entry++) {
    let node = entry >>> 4;
    let emitted = 0;
    for (let bit = 3; bit >= 0; bit--) {
      const next = tree[2 * node + ((entry >>> bit) & 1)] ?? 0;
      if (next === ~EOS) emitted = REFUSED;
      else if (next < 0) emitted = EMITS | (~next << 8);
      node = Math.max(next, 0);
    }
    machine[entry] = emitted | node;
  }
  return machine;
}

let machine: Uint32Array | undefined;

/** Strings up to this size are decoded without any other buffer. */
const SCRATCH_BYTES = 4096;
let scratch: Buffer | undefined;

/**
 * Decodes one Huffman-coded string (RFC 7541, section 5.2). Positions are given as for `Buffer.prototype.subarray`.
 *
 * @returns the octets as latin1.
 * @throws HpackError for EOS, and for padding that is longer than seven bits or no beginning of EOS.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  // Built when first needed: two sidecars between themselves never need it.
  machine ??= buildMachine();
  scratch ??= Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  const most = Math.floor(((end - start) * 8) / SHORTEST_CODE);
  const into = most > SCRATCH_BYTES ? Buffer.allocUnsafeSlow(most) : scratch;
  let length = 0;
  let state = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    const high = machine[(state << 4) | (byte >>> 4)] ?? REFUSED;
    if (high >= EMITS) into[length++] = high >>> 8;
    const low = machine[((high & 0xff) << 4) | (byte & 0xf)] ?? REFUSED;
    if (low >= EMITS) into[length++] = low >>> 8;
    if (((high | low) & REFUSED) !== 0) throw new HpackError('a Huffman-coded string contains EOS');
    state = low & 0xff;
  }
  if (state > LAST_FINAL_STATE)
    throw new HpackError('the padding of a Huffman-coded string is not the beginning of EOS');
  return into.toString('latin1', 0, length);
}
