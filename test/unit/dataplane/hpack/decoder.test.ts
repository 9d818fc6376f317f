import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';
import { encodeFields } from '../../../../src/dataplane/hpack/encoder.ts';
import { HpackError } from '../../../../src/dataplane/hpack/hpack-error.ts';
import { decodeLines, tableLines } from '../../../support/header-fields.ts';

const INSERT_AB = '4001610162'; // a: b, with indexing
const INSERT_CD = '4001630164'; // c: d, with indexing
const NEWEST = 'be'; // index 62

function decoder({ maxTableBytes = 4096, maxListBytes = 16_384 } = {}): HpackDecoder {
  return new HpackDecoder({ maxTableBytes, maxListBytes });
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

const REFUSED: readonly (readonly [what: string, block: string, message: RegExp])[] = [
  ['index 0', '80', /^an index is 0$/],
  ['an index beyond the static table, the dynamic one being empty', 'be', /^an index lies beyond the table$/],
  ['a name whose index lies beyond the table', '7e0161', /^an index lies beyond the table$/],
  ['an index of 2³¹', 'ff81ffffff07', /^an integer is larger than 2³¹−1$/],
  ['an index of 2³¹−1, which is an integer but no entry', 'ff80ffffff07', /^an index lies beyond the table$/],
  ['an index in six octets behind the first', 'ff808080808000', /^an integer has more than five octets/],
  ['an index cut short', 'ff80', /^the block ends within an integer$/],
  ['a literal without a name', '40', /^the block ends where an integer should begin$/],
  ['a literal without a value', '400161', /^the block ends where an integer should begin$/],
  ['a name longer than the block', '400361', /^a string is longer than what is left of the block$/],
  ['a value longer than the block', '4001610262', /^a string is longer than what is left of the block$/],
  ['a value of 2³¹−1 octets', '4001617f80ffffff07', /^a string is longer than what is left of the block$/],
  ['a length cut short', '4001617f', /^the block ends within an integer$/],
  ['a table size update behind a field', '8220', /^a table size update is not at the beginning of its block$/],
  ['three table size updates', '202020', /^a block begins with more than two table size updates$/],
  ['a table size update beyond the limit', '3fe21f', /^a table size update is larger than what was allowed$/],
  ['a table size update cut short', '3f', /^the block ends within an integer$/],
  ['EOS', '40016184ffffffff', /^a Huffman-coded string contains EOS$/],
  ['EOS behind an octet', '400161851ffffffffe', /^a Huffman-coded string contains EOS$/],
  ['padding of zeros', '4001618118', /^the padding of a Huffman-coded string is not the beginning of EOS$/],
  ['padding of eight bits', '400161821fff', /^the padding of a Huffman-coded string is not the beginning of EOS$/],
  ['nothing but eight bits of padding', '40016181ff', /^the padding of a Huffman-coded string is not/],
];

for (const [what, block, message] of REFUSED) {
  test(`refused: ${what}`, () => {
    const attacked = decoder();
    assert.throws(() => attacked.decode(hex(block)), { name: 'HpackError', message });
    assert.throws(() => attacked.decode(hex('82')), HpackError, 'the table may be wrong: nothing is decoded any more');
  });
}

test('accepted: what lies just within the limits', () => {
  assert.deepEqual(decodeLines(decoder(), ''), [], 'an empty block');
  assert.deepEqual(decodeLines(decoder(), '203fe11f82'), [':method: GET'], 'two table size updates, up to the limit');
  assert.deepEqual(decodeLines(decoder(), '20'), [], 'a block of nothing else');
  assert.deepEqual(decodeLines(decoder(), 'bd'), ['www-authenticate: '], 'the last entry of the static table');
  assert.deepEqual(decodeLines(decoder(), '000000'), [': '], 'empty strings: form is for others to judge');
  assert.deepEqual(decodeLines(decoder(), '00016180'), ['a: '], 'an empty Huffman-coded string');
  assert.deepEqual(decodeLines(decoder(), '000161811f'), ['a: a'], 'three bits of padding');
  assert.deepEqual(decodeLines(decoder(), '00016182fe3f'), ['a: !'], 'six bits of padding');
  assert.deepEqual(decodeLines(decoder(), '00016101ff'), ['a: ÿ'], 'any octet, as latin1');
});

test('accepted: an integer with needless octets', () => {
  assert.deepEqual(decodeLines(decoder(), '0f80808080000162'), ['accept-charset: b']);
});

test('limits out of range are refused', () => {
  for (const maxTableBytes of [-1, 0.5, 65_537, Number.NaN])
    assert.throws(() => decoder({ maxTableBytes }), RangeError);
  for (const maxListBytes of [0, -1, 0.5, Number.POSITIVE_INFINITY]) {
    assert.throws(() => decoder({ maxListBytes }), RangeError);
  }
});

test('a table begins with 4096 bytes, and grows to its limit only when told', () => {
  const large = decoder({ maxTableBytes: 8192, maxListBytes: 65_536 });
  const filler = { name: 'n', value: 'v'.repeat(4096 - 33) };
  const literal = encodeFields([filler]);
  literal[0] = 0x40;
  large.decode(literal);
  large.decode(literal);
  assert.throws(() => tableLines(large, 2), HpackError, 'the first made room for the second');
  const grown = decoder({ maxTableBytes: 8192, maxListBytes: 65_536 });
  grown.decode(Buffer.concat([hex('3fe13f'), literal, literal]));
  assert.equal(tableLines(grown, 2).length, 2);
});

test('an entry as large as the table stays, a larger one leaves it empty and is yet a field', () => {
  const small = decoder({ maxTableBytes: 34 });
  assert.deepEqual(decodeLines(small, INSERT_AB + INSERT_CD), ['a: b', 'c: d']);
  assert.deepEqual(tableLines(small, 1), ['c: d']);
  assert.deepEqual(decodeLines(small, '400165026666'), ['e: ff']);
  assert.throws(() => small.decode(hex(NEWEST)), HpackError);
});

test('an insertion may take its name from the very entry that makes room for it (RFC 7541, section 4.4)', () => {
  const small = decoder({ maxTableBytes: 34 });
  assert.deepEqual(decodeLines(small, `${INSERT_AB}7e0163`), ['a: b', 'a: c']);
  assert.deepEqual(tableLines(small, 1), ['a: c']);
});

test('a table of no bytes holds nothing', () => {
  const none = decoder({ maxTableBytes: 0 });
  assert.deepEqual(decodeLines(none, INSERT_AB), ['a: b']);
  assert.throws(() => none.decode(hex(NEWEST)), HpackError);
});

test('a full table keeps the newest entries, however many went before', () => {
  const full = decoder({ maxTableBytes: 34 * 3 });
  for (let round = 0; round < 500; round++) full.decode(hex(`40016101${(0x30 + (round % 10)).toString(16)}`));
  assert.deepEqual(tableLines(full, 3), ['a: 9', 'a: 8', 'a: 7']);
});

test('a table size of 0 and back empties the table', () => {
  const emptied = decoder();
  emptied.decode(hex(INSERT_AB + INSERT_CD));
  emptied.decode(hex('203fe11f'));
  assert.throws(() => emptied.decode(hex(NEWEST)), HpackError);
});

test('a smaller table loses its oldest entries only', () => {
  const smaller = decoder();
  smaller.decode(hex(INSERT_AB + INSERT_CD));
  assert.deepEqual(decodeLines(smaller, '3f03be'), ['c: d'], '34 bytes');
  assert.throws(() => smaller.decode(hex('bf')), HpackError);
});

test('a list that is too large is told, the fields that fit are kept, and the table goes on as the encoder thinks', () => {
  const limited = decoder({ maxListBytes: 34 });
  assert.equal(limited.decode(hex(INSERT_AB)).tooLarge, false, 'just as large as allowed');
  assert.deepEqual(limited.decode(hex(`${NEWEST}${INSERT_CD}82`)), {
    tooLarge: true,
    fields: [{ name: 'a', value: 'b' }],
    listBytes: 34 + 34 + 42,
  });
  assert.deepEqual(decodeLines(limited, NEWEST), ['c: d']);
  assert.deepEqual(decodeLines(limited, 'bf'), ['a: b']);
});

test('a block of a few bytes cannot make a list that takes more memory than allowed', () => {
  const limited = decoder({ maxListBytes: 16_384 });
  const large = encodeFields([{ name: 'bomb', value: 'x'.repeat(4000) }]);
  large[0] = 0x40;
  limited.decode(large);
  const decoded = limited.decode(Buffer.alloc(10_000, 0xbe));
  assert.ok(decoded.tooLarge);
  assert.equal(decoded.listBytes, 10_000 * 4036);
  assert.equal(decoded.fields.length, 4);
});

test('an error behind the limit of the list is an error still', () => {
  assert.throws(() => decoder({ maxListBytes: 34 }).decode(hex('828280')), HpackError);
});

test('what stands in the table does not change with the buffer it was read from', () => {
  const kept = decoder();
  const block = hex(`${INSERT_AB}0001650166`);
  const first = kept.decode(block);
  block.fill(0xff);
  assert.deepEqual(tableLines(kept, 1), ['a: b']);
  assert.ok(!first.tooLarge);
  assert.deepEqual(first.fields[1], { name: 'e', value: 'f' });
});
