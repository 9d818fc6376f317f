import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HpackDecoder } from '../../src/dataplane/hpack/decoder.ts';
import { encodeFields } from '../../src/dataplane/hpack/encoder.ts';
import { HpackError } from '../../src/dataplane/hpack/hpack-error.ts';
import { STATIC_TABLE } from '../../src/dataplane/hpack/static-table.ts';
import { fieldLines } from '../support/header-fields.ts';
import { PlainTable, wireOf } from '../support/hpack-model.ts';
import type { Instruction, ModelBlock } from '../support/hpack-model.ts';

const octets = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const field = fc.oneof(
  fc.constantFrom(...STATIC_TABLE),
  fc.record({
    name: fc.oneof(fc.constantFrom(...STATIC_TABLE.map(({ name }) => name)), octets(200)),
    value: octets(400),
    sensitive: fc.boolean(),
  }),
);

test('any fields come back as they were encoded, and sensitive ones are so still', () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 30 }), (fields) => {
      const decoder = new HpackDecoder({ maxListBytes: 1_000_000 });
      const block = encodeFields(fields);
      for (let round = 0; round < 3; round++) {
        const decoded = decoder.decode(block);
        assert.ok(!decoded.tooLarge);
        assert.deepEqual(fieldLines(decoded.fields), fieldLines(fields));
        assert.equal(
          decoded.listBytes,
          fields.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0),
        );
      }
    }),
    { numRuns: 500 },
  );
});

test('any bytes at all are decoded or refused with an HpackError, and never make more than they may', () => {
  const block = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(block, { maxLength: 10 }), (blocks) => {
      const decoder = new HpackDecoder({ maxListBytes: 500 });
      try {
        for (const bytes of blocks) {
          const decoded = decoder.decode(bytes);
          if (decoded.tooLarge) assert.ok(decoded.listBytes > 500);
          else assert.ok(decoded.listBytes <= 500 && decoded.fields.length <= 15);
        }
      } catch (error) {
        assert.ok(error instanceof HpackError, String(error));
        assert.ok(!error.message.includes('\n'));
      }
    }),
    { numRuns: 3000 },
  );
});

const token = fc.constantFrom('a', 'te', 'x-trace', ':path', 'grpc-timeout');
const instruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('indexed'), index: fc.integer({ min: 58, max: 65 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('inserting', 'plain', 'plain', 'never'),
      name: fc.oneof(token, fc.integer({ min: 1, max: 66 })),
      value: fc.oneof(fc.constantFrom('', '1', 'trailers'), octets(60)),
    }),
  },
);
const block = fc.record({
  resizeTo: fc.oneof(
    { weight: 15, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(0, 40, 100, 200, 4096) },
  ),
  instructions: fc.array(instruction, { maxLength: 4 }),
});
/** So that there is something to name. */
const FILLING: ModelBlock = {
  resizeTo: null,
  instructions: ['1', '2', '3', '4'].map((value) => ({ kind: 'inserting', name: 'filled', value })),
};

test('however blocks repeat and change the table, they mean what they mean to a decoder that remembers no block', () => {
  const script = fc.record({
    blocks: fc.array(block, { minLength: 1, maxLength: 6 }),
    order: fc.array(fc.nat(5), { maxLength: 60 }),
  });
  let compared = 0;
  let remembered = 0;
  fc.assert(
    fc.property(script, ({ blocks, order }) => {
      const decoder = new HpackDecoder({ maxListBytes: 100_000 });
      const plain = new PlainTable();
      const before = new Set<unknown>();
      for (const chosen of [FILLING, ...order.map((choice) => blocks[choice % blocks.length] ?? assert.fail())]) {
        const expected = plain.follow(chosen);
        if (expected === undefined) {
          assert.throws(() => decoder.decode(wireOf(chosen)), HpackError);
          return;
        }
        const decoded = decoder.decode(wireOf(chosen));
        assert.ok(!decoded.tooLarge);
        assert.deepEqual(fieldLines(decoded.fields), fieldLines(expected));
        compared++;
        if (before.has(decoded)) remembered++;
        before.add(decoded);
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(compared > 10_000 && remembered > 1000, `${compared} blocks were compared, ${remembered} remembered`);
});
