import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paceTokens } from '../../../../src/inference/model/token-pace.ts';

/** Time that only the test moves. Each wait comes late by `lateMs`. */
function world(lateMs = 0) {
  let now = 0;
  const timers: { at: number; run: () => void }[] = [];
  return {
    clock: { now: () => now, monotonic: () => now },
    later: (delayMs: number, run: () => void) => {
      const timer = { at: now + delayMs + lateMs, run };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
    timers,
    /** Runs the next timer; false when there is none. */
    next: () => {
      const timer = timers.shift();
      if (timer === undefined) return false;
      now = timer.at;
      timer.run();
      return true;
    },
    now: () => now,
  };
}

test('at 1000 tokens a second, timers that are late by 3 ms each do not add up, and what is late goes together', () => {
  const { clock, later, next, now } = world(3);
  const taken: [number, number][] = [];
  let done = false;
  paceTokens({
    count: 1000,
    tokensPerSecond: 1000,
    clock,
    later,
    take: (from, to) => taken.push([from, to]) > 0,
    whenTaken: () => assert.fail('nobody was slow'),
    done: () => (done = true),
  });
  while (next());
  assert.ok(done);
  assert.ok(now() >= 1000 && now() <= 1005, String(now()));
  assert.ok(taken.length <= 260, String(taken.length));
  assert.deepEqual(
    taken.map(([from]) => from),
    [0, ...taken.slice(0, -1).map(([, to]) => to)],
  );
});

test('whoever reads slowly is waited for without a timer', () => {
  const { clock, later, timers } = world();
  let resume = (): void => assert.fail('nobody waits');
  let done = false;
  paceTokens({
    count: 100,
    tokensPerSecond: 0,
    clock,
    later,
    take: () => false,
    whenTaken: (run) => (resume = run),
    done: () => (done = true),
  });
  assert.equal(timers.length, 0);
  assert.equal(done, false);
  resume();
  assert.equal(done, true);
});

test('what is given up hands out nothing more', () => {
  const { clock, later, next } = world();
  const taken: number[] = [];
  const giveUp = paceTokens({
    count: 10,
    tokensPerSecond: 10,
    clock,
    later,
    take: (_, to) => taken.push(to) > 0,
    whenTaken: () => undefined,
    done: () => assert.fail('it was given up'),
  });
  next();
  giveUp();
  giveUp();
  while (next());
  assert.deepEqual(taken, [1]);
});
