import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedCache } from '../../../src/crypto/bounded-cache.ts';

function filled(max: number, keys: readonly string[]): BoundedCache<number> {
  const cache = new BoundedCache<number>(max);
  keys.forEach((key, index) => cache.set(key, index));
  return cache;
}

test('when it is full, the entry used longest ago goes', () => {
  const cache = filled(2, ['a', 'b']);
  assert.equal(cache.get('a'), 0);
  cache.set('c', 2);
  assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c')], [0, undefined, 2]);
  assert.equal(cache.size, 2);
});

test('what is over is forgotten, and nothing else', () => {
  const cache = filled(4, ['a', 'b', 'c', 'd']);
  cache.forget((value) => value < 2);
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((key) => cache.get(key)),
    [undefined, undefined, 2, 3],
  );
  assert.equal(cache.size, 2);
});

test('it holds at least one entry', () => {
  for (const max of [0, -1, 1.5, Number.NaN]) assert.throws(() => new BoundedCache(max), RangeError);
});
