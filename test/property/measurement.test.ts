import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256Digest } from '../../src/domain/canonical/digest.ts';
import {
  comparableItems,
  differencesBetween,
  DIMENSIONS,
  sameDigests,
  type DigestTuple,
} from '../../src/domain/measurement.ts';

const digest = fc.constantFrom('a', 'b').map((text) => sha256Digest(text));
const name = fc.constantFrom('main', 'a,b', 'a', '__proto__', 'constructor');
/** Few values, so that equal tuples come up often, in whatever order their members were written. */
const tuple: fc.Arbitrary<DigestTuple> = fc.record({
  system_prompt: fc.option(
    fc
      .uniqueArray(fc.tuple(name, digest), { minLength: 1, maxLength: 3, selector: ([key]) => key })
      .map((entries) => ({ prompts: ownMap(entries, (hash) => ({ hash, canonicalization: 'ait-text-1' as const })) })),
  ),
  knowledge_base: fc.option(
    fc.record({
      version: fc.constantFrom('1', '2'),
      hash: digest,
      canonicalization: fc.constant('ait-set-1' as const),
    }),
  ),
  model: fc.option(fc.record({ provider: fc.constant('p'), id: fc.constantFrom('m', 'n'), version: fc.constant('1') })),
  tools: fc.option(
    fc
      .uniqueArray(fc.tuple(name, digest), { minLength: 1, maxLength: 3, selector: ([key]) => key })
      .map((entries) => ({ canonicalization: 'ait-json-1' as const, tools: ownMap(entries, (hash) => hash) })),
  ),
});

function ownMap<T, U>(entries: readonly (readonly [string, T])[], write: (value: T) => U): Record<string, U> {
  const map = Object.create(null) as Record<string, U>;
  for (const [key, value] of entries) map[key] = write(value);
  return map;
}

/** Item by item, without any memory. */
function differs(a: DigestTuple, b: DigestTuple): boolean {
  return DIMENSIONS.some((dimension) => {
    const [left, right] = [comparableItems(dimension, a), comparableItems(dimension, b)];
    if (left === null || right === null) return left !== right;
    return left.size !== right.size || [...left].some(([item, value]) => right.get(item) !== value);
  });
}

/** The same tuple, with its members written in the opposite order. */
function rewritten(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return ownMap(Object.entries(value).toReversed(), rewritten);
}

test('two tuples are the same exactly when no item differs, and then there is no difference to tell', () => {
  fc.assert(
    fc.property(tuple, tuple, (a, b) => {
      assert.ok(sameDigests(a, rewritten(a) as DigestTuple), 'the order of members means nothing');
      assert.equal(sameDigests(a, b), !differs(a, b));
      assert.equal(differencesBetween(a, b).length === 0, !differs(a, b));
    }),
    { numRuns: 3000 },
  );
});
