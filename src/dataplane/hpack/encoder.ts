import type { HeaderField } from './header-field.ts';
import { STATIC_TABLE } from './static-table.ts';

/** The first octet of a literal (RFC 7541, sections 6.2.2 and 6.2.3), and of a field of the static table (6.1). */
const NEVER_INDEXED = 0x10;
const INDEXED = 0x80;
const LITERAL_PREFIX = 0x0f;
const LENGTH_PREFIX = 0x7f;

/** Where the entries of a name begin; those of one name lie together. */
const FIRST_PLACES = new Map<string, number>();
for (const [place, { name }] of STATIC_TABLE.entries()) if (!FIRST_PLACES.has(name)) FIRST_PLACES.set(name, place);

/** What was found out of each field while sizes were added up: its index, negative where value and name are there. */
let indices = new Int16Array(64);

/**
 * Encodes fields into a block that neither reads nor changes the table of the other side: what one stream's fate is
 * cannot disturb another one. Huffman coding is not used: between two sidecars it would cost more time than it saves.
 * Blocks may be joined: the bytes of `[...a, ...b]` are those of `a`, then those of `b`.
 *
 * @param fields names and values of octets, as latin1.
 * @param headroom bytes to leave free, with any content, before the block; default 0.
 * @throws RangeError for a character beyond U+00FF: cut to an octet it could become a line feed.
 */
export function encodeFields(fields: readonly HeaderField[], headroom = 0): Buffer {
  if (fields.length > indices.length) indices = new Int16Array(2 * fields.length);
  let size = headroom;
  for (let at = 0; at < fields.length; at++) {
    const field = fields[at];
    if (field === undefined) continue;
    const index = staticIndex(field);
    indices[at] = index;
    size += index < 0 ? 1 : literalSize(field, index);
  }
  const block = Buffer.allocUnsafe(size);
  let end = headroom;
  for (let at = 0; at < fields.length; at++) {
    const field = fields[at];
    const index = indices[at] ?? 0;
    if (field === undefined) continue;
    if (index < 0) block[end++] = INDEXED | -index;
    else end = writeLiteral(block, end, field, index);
  }
  return block;
}

function staticIndex({ name, value, sensitive }: HeaderField): number {
  const first = FIRST_PLACES.get(name);
  if (first === undefined) return 0;
  if (sensitive === true) return first + 1;
  for (let place = first; STATIC_TABLE[place]?.name === name; place++) {
    if (STATIC_TABLE[place]?.value === value) return -(place + 1);
  }
  return first + 1;
}

function literalSize({ name, value }: HeaderField, index: number): number {
  const nameSize = index === 0 ? stringSize(name) : 0;
  return integerSize(index, LITERAL_PREFIX) + nameSize + stringSize(value);
}

function stringSize(text: string): number {
  return integerSize(text.length, LENGTH_PREFIX) + text.length;
}

function integerSize(value: number, prefix: number): number {
  if (value < prefix) return 1;
  let size = 2;
  for (let rest = value - prefix; rest >= 0x80; rest >>>= 7) size++;
  return size;
}

function writeLiteral(block: Buffer, start: number, { name, value, sensitive }: HeaderField, index: number): number {
  let at = writeInteger(block, start, index, LITERAL_PREFIX);
  if (sensitive === true) block[start] = NEVER_INDEXED | (block[start] ?? 0);
  if (index === 0) at = writeString(block, at, name);
  return writeString(block, at, value);
}

function writeInteger(block: Buffer, start: number, value: number, prefix: number): number {
  let at = start;
  if (value < prefix) {
    block[at++] = value;
    return at;
  }
  block[at++] = prefix;
  let rest = value - prefix;
  for (; rest >= 0x80; rest >>>= 7) block[at++] = (rest & 0x7f) | 0x80;
  block[at++] = rest;
  return at;
}

function writeString(block: Buffer, start: number, text: string): number {
  const at = writeInteger(block, start, text.length, LENGTH_PREFIX);
  let all = 0;
  // Octet by octet: for strings as short as these that is quicker than a call into Node, and it sees each of them.
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place);
    all |= code;
    block[at + place] = code;
  }
  if (all > 0xff) throw new RangeError('a header field holds a character that is not an octet');
  return at + text.length;
}
