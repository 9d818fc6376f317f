import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';
import { encodeChanged, encodeFields } from '../../../../src/dataplane/hpack/encoder.ts';
import type { HeaderBlock } from '../../../../src/dataplane/hpack/header-block.ts';
import { decodeLines } from '../../../support/header-fields.ts';

const INSERT_AB = Buffer.from('4001610162', 'hex');
const TRACE = { name: 'traceparent', value: '00-1-2-01' };

function decode(block: Buffer, decoder = new HpackDecoder({ maxListBytes: 16_384 })): HeaderBlock {
  const decoded = decoder.decode(block);
  assert.ok(!decoded.tooLarge);
  return decoded;
}

/** To a decoder that never saw a block before. */
function asRead(block: Buffer): string[] {
  return decodeLines(new HpackDecoder({ maxListBytes: 16_384 }), block);
}

const PORTABLE: readonly (readonly [what: string, block: string, starts: readonly number[]])[] = [
  ['an empty block', '', [0]],
  ['entries of the static table', '8286', [0, 1, 2]],
  ['literals, with a name of the static table or their own', '04012f0001610162', [0, 3, 8]],
  ['a literal never indexed', '1001610162', [0, 5]],
  ['a Huffman-coded literal', '000161811f', [0, 5]],
];

for (const [what, block, starts] of PORTABLE) {
  test(`portable: ${what}`, () => assert.deepEqual(decode(Buffer.from(block, 'hex')).portable, starts));
}

const BOUND: readonly (readonly [what: string, block: string])[] = [
  ['an insertion', '824001630164'],
  ['an entry of the dynamic table', '82be'],
  ['a name of the dynamic table', '0f2f0163'],
  ['a name of the dynamic table, never indexed', '1f2f0163'],
  ['a table size update', '3fe11f82'],
  ['an integer with needless octets, which another decoder may refuse', '0f808080000162'],
];

for (const [what, block] of BOUND) {
  test(`not portable: ${what}`, () => {
    const decoder = new HpackDecoder({ maxListBytes: 16_384 });
    decoder.decode(INSERT_AB);
    const bytes = Buffer.from(block, 'hex');
    const decoded = decode(bytes, decoder);
    assert.equal(decoded.portable, undefined);
    assert.deepEqual(encodeChanged(bytes, decoded, {}), encodeFields(decoded.fields), 'it is encoded anew');
  });
}

test('a block is portable or not by itself, whatever the one before it was', () => {
  const decoder = new HpackDecoder({ maxListBytes: 16_384 });
  decoder.decode(INSERT_AB);
  assert.equal(decode(Buffer.from('82be', 'hex'), decoder).portable, undefined);
  assert.deepEqual(decode(Buffer.from('82', 'hex'), decoder).portable, [0, 1]);
});

for (const [kind, prefix] of [
  ['portable', ''],
  ['other', '20'],
] as const) {
  test(`fields are left out of and added to ${kind} blocks, wherever they stand`, () => {
    const source = Buffer.from(`${prefix}8204012f1001610162000163811f`, 'hex');
    const decoded = decode(source);
    assert.equal(decoded.portable === undefined, kind === 'other');
    const all = [':method: GET', ':path: /', '! a: b', 'c: a'];
    for (let choice = 0; choice < 16; choice++) {
      const omit = [0, 1, 2, 3].filter((place) => (choice & (1 << place)) !== 0);
      const kept = all.filter((_, place) => !omit.includes(place));
      assert.deepEqual(asRead(encodeChanged(source, decoded, { omit })), kept, `without ${omit.join()}`);
      const changed = encodeChanged(source, decoded, { omit, append: [TRACE], headroom: 9 });
      assert.deepEqual(
        asRead(changed.subarray(9)),
        [...kept, 'traceparent: 00-1-2-01'],
        `${omit.join()}, and one more`,
      );
    }
  });
}

test('a portable block goes on byte for byte, as a copy', () => {
  const source = Buffer.from('8204012f000163811f', 'hex');
  const forwarded = encodeChanged(source, decode(source), {});
  assert.deepEqual(forwarded, source);
  const before = Buffer.from(forwarded);
  source.fill(0);
  assert.deepEqual(forwarded, before);
});
