import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';
import { encodeFields } from '../../../../src/dataplane/hpack/encoder.ts';
import { STATIC_TABLE } from '../../../../src/dataplane/hpack/static-table.ts';
import { decodeLines, tableLines } from '../../../support/header-fields.ts';

function encoded(name: string, value: string, sensitive = false): string {
  return encodeFields([{ name, value, ...(sensitive && { sensitive }) }]).toString('hex');
}

test('a field of the static table is its index', () => {
  assert.equal(encoded(':method', 'GET'), '82');
  assert.equal(encoded(':status', '500'), '8e');
  assert.equal(encoded('www-authenticate', ''), 'bd');
  STATIC_TABLE.forEach((field, place) => assert.deepEqual([...encodeFields([field])], [0x80 | (place + 1)]));
});

test('a name of the static table is its index, the first one', () => {
  assert.equal(encoded(':path', '/x'), '04022f78');
  assert.equal(encoded(':status', '299'), '0803323939');
  assert.equal(encoded('te', 'trailers'), `000274650874${Buffer.from('railers').toString('hex')}`);
  assert.equal(encoded('content-type', 'a'), '0f100161', 'beyond what four bits hold');
});

test('a sensitive field is never indexed, even where the static table has it', () => {
  assert.equal(encoded('x', 'y', true), '1001780179');
  assert.equal(encoded('authorization', 'b', true), '1f080162');
  assert.equal(encoded(':method', 'GET', true), '1203474554');
  assert.deepEqual(decodeLines(new HpackDecoder({ maxListBytes: 4096 }), encoded(':method', 'GET', true)), [
    '! :method: GET',
  ]);
});

test('lengths around the borders of their encoding come back', () => {
  for (const length of [0, 1, 126, 127, 128, 254, 255, 256, 16_510, 16_511, 16_512, 300_000]) {
    const decoder = new HpackDecoder({ maxListBytes: 1_000_000 });
    const field = { name: 'n'.repeat(length), value: 'v'.repeat(length) };
    const decoded = decoder.decode(encodeFields([field]));
    assert.ok(!decoded.tooLarge && decoded.fields[0]?.name === field.name && decoded.fields[0].value === field.value);
  }
});

test('no block touches the table of the other side', () => {
  const decoder = new HpackDecoder({ maxListBytes: 65_536 });
  decoder.decode(Buffer.from('4001610162', 'hex'));
  decoder.decode(
    encodeFields([{ name: 'x', value: 'y' }, { name: ':path', value: '/', sensitive: true }, ...STATIC_TABLE]),
  );
  assert.deepEqual(tableLines(decoder, 1), ['a: b']);
});

test('every octet is written as it is, and nothing larger is cut to one', () => {
  const every = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code));
  assert.deepEqual(decodeLines(new HpackDecoder({ maxListBytes: 4096 }), encodeFields([{ name: 'x', value: every }])), [
    `x: ${every}`,
  ]);
  // U+010A and U+010D would become a line feed and a carriage return.
  for (const text of ['\u010a', '\u010d', 'ŀ', '€', '\ud83d\ude00', `${'a'.repeat(100)}\u0100`]) {
    assert.throws(() => encodeFields([{ name: 'x', value: text }]), RangeError);
    assert.throws(() => encodeFields([{ name: text, value: 'x' }]), RangeError);
  }
});

test('blocks may be joined, and a headroom is left before one', () => {
  const [one, two] = [[{ name: ':path', value: '/x' }], [{ name: 'te', value: 'trailers' }]];
  assert.deepEqual(Buffer.concat([encodeFields(one), encodeFields(two)]), encodeFields([...one, ...two]));
  assert.deepEqual(encodeFields(one, 9).subarray(9), encodeFields(one));
  assert.equal(encodeFields([]).length, 0);
  assert.equal(encodeFields([], 9).length, 9);
});

test('a list of very many fields is encoded as well as one of few', () => {
  const many = Array.from({ length: 5000 }, (_, number) => ({ name: `n${number}`, value: `${number}` }));
  const decoder = new HpackDecoder({ maxListBytes: 1_000_000 });
  assert.deepEqual(
    decodeLines(decoder, encodeFields(many)),
    many.map(({ name, value }) => `${name}: ${value}`),
  );
});
