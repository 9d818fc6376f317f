import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backoff, systemRandom, type RandomSource } from '../../../src/platform/random.ts';

const fixed = (value: number): RandomSource => ({ bytes: (count) => Buffer.alloc(count), uniform: () => value });

test('the system source gives as many bytes as asked, and numbers from 0 up to 1', () => {
  assert.equal(systemRandom.bytes(32).length, 32);
  assert.notDeepEqual(systemRandom.bytes(32), systemRandom.bytes(32));
  for (let n = 0; n < 1_000; n += 1) {
    const value = systemRandom.uniform();
    assert.ok(value >= 0 && value < 1);
  }
});

test('the bound of a delay doubles with each failure up to the maximum, and starts over after a success', () => {
  const backoff = new Backoff({ minMs: 1_000, maxMs: 5_000, random: fixed(0.5) });
  assert.deepEqual(
    [backoff.next(), backoff.next(), backoff.next(), backoff.next(), backoff.next()],
    [500, 1_000, 2_000, 2_500, 2_500],
  );
  backoff.reset();
  assert.equal(backoff.next(), 500);
});

test('a delay is never negative or above the maximum, after any number of failures', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (failures, draw) => {
        const backoff = new Backoff({ random: fixed(draw) });
        for (let n = 0; n < failures; n += 1) {
          const delay = backoff.next();
          assert.ok(delay >= 0 && delay < 60_000);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('bounds that make no sense are refused', () => {
  for (const bounds of [{ minMs: 0 }, { minMs: -1 }, { minMs: 2, maxMs: 1 }, { minMs: NaN }, { maxMs: Infinity }]) {
    assert.throws(() => new Backoff(bounds), RangeError);
  }
});
