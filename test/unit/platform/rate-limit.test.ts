import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from '../../../src/platform/rate-limit.ts';

/** A limit of a burst of 3, then 2 a second, and the time it goes by. */
function limited() {
  const time = { ms: 1_000 };
  const clock = { now: () => 0, monotonic: () => time.ms };
  const limit = new RateLimit({ burst: 3, perSecond: 2, clock });
  const takeAll = (attempts: number) => Array.from({ length: attempts }, () => limit.take()).filter(Boolean).length;
  return { time, takeAll };
}

test('a burst passes at once, and no more', () => {
  assert.equal(limited().takeAll(10), 3);
});

test('then the steady rate passes, in fractions of it too', () => {
  const { time, takeAll } = limited();
  takeAll(3);
  time.ms += 499;
  assert.equal(takeAll(5), 0);
  time.ms += 1;
  assert.equal(takeAll(5), 1);
  time.ms += 1_250;
  assert.equal(takeAll(5), 2);
  time.ms += 250;
  assert.equal(takeAll(5), 1, 'the half that was left counts');
});

test('a rest, however long, saves up one burst; what was refused cost nothing', () => {
  const { time, takeAll } = limited();
  takeAll(1_000);
  time.ms += 3_600_000;
  assert.equal(takeAll(1_000), 3);
});
