import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stall } from '../../../../src/dataplane/gate/stall.ts';

test('a closed window through which nothing passes is a stall, from when it was first seen', () => {
  const stall = new Stall();
  assert.deepEqual(
    [10, 20, 35].map((now) => stall.look(true, 5, now)),
    [0, 10, 25],
  );
});

test('a window that has opened ends it, and so does anything that has passed', () => {
  const stall = new Stall();
  stall.look(true, 5, 0);
  assert.equal(stall.look(false, 5, 10), 0);
  assert.equal(stall.look(true, 5, 20), 0);
  assert.equal(stall.look(true, 6, 30), 0);
  assert.equal(stall.look(true, 6, 40), 10);
});
