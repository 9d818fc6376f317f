import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMet, ratioOf } from '../../../bench/support/statistics.ts';

describe('a ratio of rounds', () => {
  test('is taken within each round, so that a round in which everything was slow changes nothing', () => {
    assert.equal(ratioOf([1, 10, 2], [2, 20, 4]), 0.5);
  });

  test('is the median: one round that was disturbed changes nothing', () => {
    assert.equal(ratioOf([1, 1, 100], [2, 2, 2]), 0.5);
  });

  test('is no number where a round is missing or nothing was measured', () => {
    assert.equal(ratioOf([1, 2], [1]), Number.NaN);
    assert.equal(ratioOf([], []), Number.NaN);
  });
});

describe('a target', () => {
  const target = { claim: 'a claim', limit: 1 };

  test('bounds from above unless it says otherwise', () => {
    assert.equal(isMet({ ...target, measured: 1 }), true);
    assert.equal(isMet({ ...target, measured: 1.01 }), false);
    assert.equal(isMet({ ...target, measured: 1.01, bound: 'least' }), true);
    assert.equal(isMet({ ...target, measured: 0.99, bound: 'least' }), false);
  });

  test('is missed where nothing was measured', () => {
    assert.equal(isMet({ ...target, measured: Number.NaN }), false);
    assert.equal(isMet({ ...target, measured: Number.NaN, bound: 'least' }), false);
  });
});
