import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';
import { encodeFields } from '../../../../src/dataplane/hpack/encoder.ts';
import type { HeaderBlock } from '../../../../src/dataplane/hpack/header-block.ts';
import { HpackError } from '../../../../src/dataplane/hpack/hpack-error.ts';
import { RepeatedBlocks, blockHash } from '../../../../src/dataplane/hpack/repeated-blocks.ts';
import { fieldLines } from '../../../support/header-fields.ts';

const INSERT_AB = Buffer.from('4001610162', 'hex');
const INSERT_CD = Buffer.from('4001630164', 'hex');

function decode(decoder: HpackDecoder, block: Buffer): HeaderBlock {
  const decoded = decoder.decode(Buffer.from(block));
  assert.ok(!decoded.tooLarge);
  return decoded;
}

function repeat(decoder: HpackDecoder, block: Buffer): HeaderBlock {
  decode(decoder, block);
  return decode(decoder, block);
}

for (const [length, block] of [
  ['short', encodeFields([{ name: ':path', value: '/a' }])],
  ['long', encodeFields([{ name: ':path', value: `/${'a'.repeat(300)}` }])],
] as const) {
  test(`a ${length} block that comes again gives the same object, with what was derived from it`, () => {
    const decoder = new HpackDecoder({ maxListBytes: 16_384 });
    const second = repeat(decoder, block);
    assert.equal(second.derived, undefined);
    second.derived = 'a decision';
    assert.equal(decode(decoder, block), second);
    assert.equal(decode(decoder, block).derived, 'a decision');
  });

  test(`a ${length} block that differs in one byte, wherever, is another one`, () => {
    const decoder = new HpackDecoder({ maxListBytes: 16_384 });
    const kept = repeat(decoder, block);
    for (let at = block.length - (length === 'short' ? 2 : 301); at < block.length; at++) {
      const other = Buffer.from(block);
      other[at] = 0x62;
      const decoded = decode(decoder, other);
      assert.notEqual(decoded, kept);
      assert.notDeepEqual(fieldLines(decoded.fields), fieldLines(kept.fields), `byte ${at}`);
    }
    assert.equal(decode(decoder, block), kept);
  });
}

test('bytes mean something else once the table has changed', () => {
  const decoder = new HpackDecoder({ maxListBytes: 16_384 });
  const newest = Buffer.from([0xbe]);
  decode(decoder, INSERT_AB);
  const before = repeat(decoder, newest);
  assert.deepEqual(fieldLines(before.fields), ['a: b']);
  decode(decoder, INSERT_CD);
  assert.deepEqual(fieldLines(decode(decoder, newest).fields), ['c: d']);
  assert.equal(repeat(decoder, newest), decode(decoder, newest), 'kept anew');
});

test('bytes mean nothing once the table has lost what they named', () => {
  const decoder = new HpackDecoder({ maxListBytes: 16_384 });
  const newest = Buffer.from([0xbe]);
  decode(decoder, INSERT_AB);
  repeat(decoder, newest);
  decode(decoder, Buffer.from([0x20]));
  assert.throws(() => decoder.decode(newest), HpackError);
});

test('the table changes too where the list was too large to be kept', () => {
  const decoder = new HpackDecoder({ maxListBytes: 64 });
  const newest = Buffer.from([0xbe]);
  decode(decoder, INSERT_AB);
  repeat(decoder, newest);
  assert.equal(decoder.decode(Buffer.concat([INSERT_CD, INSERT_AB, INSERT_CD])).tooLarge, true);
  assert.deepEqual(fieldLines(decode(decoder, newest).fields), ['c: d']);
});

test('a block that inserts is worked on each time', () => {
  const decoder = new HpackDecoder({ maxListBytes: 16_384 });
  for (let round = 0; round < 3; round++) decode(decoder, INSERT_AB);
  assert.deepEqual(fieldLines(decode(decoder, Buffer.from([0xbe, 0xbf, 0xc0])).fields), ['a: b', 'a: b', 'a: b']);
});

function block(fields: number): HeaderBlock {
  const list = Array.from({ length: fields }, () => ({ name: 'n', value: '' }));
  return { tooLarge: false, fields: list, listBytes: 33 * fields, changedTable: false, derived: undefined };
}

/** How many of these bytes are still known. */
function known(kept: RepeatedBlocks, all: readonly Buffer[]): number {
  return all.filter((bytes) => kept.find(bytes, blockHash(bytes)) !== undefined).length;
}

function offerTwice(kept: RepeatedBlocks, bytes: Buffer, decoded: HeaderBlock): void {
  kept.offer(bytes, blockHash(bytes), decoded);
  kept.offer(bytes, blockHash(bytes), decoded);
}

test('nothing is kept of a block that came once, is long, or decodes to much', () => {
  const kept = new RepeatedBlocks();
  const once = Buffer.from('once');
  kept.offer(once, blockHash(once), block(1));
  const long = Buffer.alloc(513, 1);
  offerTwice(kept, long, block(1));
  const much = Buffer.from('much');
  offerTwice(kept, much, block(63));
  assert.equal(known(kept, [once, long, much]), 0);
  const most = Buffer.alloc(512, 1);
  offerTwice(kept, most, block(62));
  assert.equal(known(kept, [most]), 1);
});

test('64 blocks are kept at most, whatever comes; the bytes are copied', () => {
  const kept = new RepeatedBlocks();
  const all = Array.from({ length: 10_000 }, (_, number) => Buffer.from(`block ${number}`));
  for (const bytes of all) offerTwice(kept, bytes, block(1));
  const found = known(kept, all);
  assert.ok(found > 32 && found <= 64, `${found} are known`);
  const last = all.at(-1) ?? assert.fail();
  const copy = Buffer.from(last);
  last.fill(0);
  assert.equal(known(kept, [copy]), 1);
});
