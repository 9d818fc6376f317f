import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTraced, encodeTraceparent } from '../../../../src/dataplane/gate/traced-block.ts';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';
import { encodeFields } from '../../../../src/dataplane/hpack/encoder.ts';

const traceparent = (n: number) => `00-${n.toString(16).padStart(32, '0')}-00000000000000aa-01`;
const FIELDS = [
  { name: ':method', value: 'POST' },
  { name: ':path', value: '/search.v1.Search/Query' },
];

function traced(n: number, fields = FIELDS): Buffer {
  return Buffer.concat([encodeFields(fields), encodeTraceparent(traceparent(n))]);
}

test('after a few calls what stands before the trace is known, and the trace is told apart', () => {
  const decoder = new HpackDecoder({ maxListBytes: 4096 });
  const results = [1, 2, 3, 4, 5].map((n) => decodeTraced(decoder, traced(n)));
  for (const [index, { block, traceparent: apart }] of results.entries()) {
    const own = block.fields.filter(({ name }) => name !== 'traceparent');
    assert.deepEqual(own, FIELDS);
    const value = apart ?? block.fields.find(({ name }) => name === 'traceparent')?.value;
    assert.equal(value, traceparent(index + 1));
  }
  assert.equal(results[4]?.block, results[3]?.block, 'the very same object');
  assert.equal(results[4]?.traceparent, traceparent(5));
});

test('bytes that look like the field within another value are no field', () => {
  const decoder = new HpackDecoder({ maxListBytes: 4096 });
  const disguised = encodeFields([...FIELDS, { name: 'x', value: encodeTraceparent(traceparent(9)).toString('latin1') }]);
  for (let i = 0; i < 5; i += 1) {
    const { block, traceparent: apart } = decodeTraced(decoder, disguised);
    assert.equal(apart, undefined);
    assert.equal(block.fields.at(-1)?.name, 'x');
  }
});

test('a tracestate, or a second trace, keeps all fields together: they are judged together', () => {
  for (const extra of [
    { name: 'tracestate', value: 'a=b' },
    { name: 'traceparent', value: traceparent(7) },
  ]) {
    const decoder = new HpackDecoder({ maxListBytes: 4096 });
    for (let i = 0; i < 5; i += 1) {
      const { block, traceparent: apart } = decodeTraced(decoder, traced(i, [...FIELDS, extra]));
      assert.equal(apart, undefined);
      assert.equal(block.fields.length, 4);
    }
  }
});

test('a beginning that changes the table is never kept', () => {
  const decoder = new HpackDecoder({ maxListBytes: 4096 });
  const inserting = encodeFields([{ name: 'a', value: 'b' }]);
  inserting[0] = 0x40;
  for (let i = 0; i < 5; i += 1) {
    const block = Buffer.concat([inserting, encodeTraceparent(traceparent(i))]);
    assert.equal(decodeTraced(decoder, block).traceparent, undefined);
  }
  const newest = Buffer.from([0xbe]);
  assert.deepEqual(decoder.decode(newest).fields, [{ name: 'a', value: 'b' }]);
});
