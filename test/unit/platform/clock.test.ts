import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { after, Due, systemClock } from '../../../src/platform/clock.ts';

test('the system clock tells the time and a duration', () => {
  assert.ok(Math.abs(systemClock.now() - Date.now()) < 1_000);
  const start = systemClock.monotonic();
  assert.ok(systemClock.monotonic() >= start);
});

describe('after', () => {
  const DAY_MS = 86_400_000;
  /** Node's timers under the test's control, and a clock that goes with them. */
  function controlled(use: (time: { clock: typeof systemClock; pass: (ms: number) => void }) => void): void {
    let nowMs = 0;
    mock.timers.enable({ apis: ['setTimeout'] });
    const pass = (ms: number): void => {
      nowMs += ms;
      mock.timers.tick(ms);
    };
    try {
      use({ clock: { now: () => nowMs, monotonic: () => nowMs }, pass });
    } finally {
      mock.timers.reset();
    }
  }

  test('runs once, when the delay has passed', () => {
    controlled(({ clock, pass }) => {
      let runs = 0;
      after({ delayMs: 100, run: () => (runs += 1), clock });
      pass(99);
      assert.equal(runs, 0);
      pass(1);
      pass(1_000);
      assert.equal(runs, 1);
    });
  });

  test('waits longer than Node can, 60 days', () => {
    controlled(({ clock, pass }) => {
      let runs = 0;
      after({ delayMs: 60 * DAY_MS, run: () => (runs += 1), clock });
      for (let day = 0; day < 59; day += 1) pass(DAY_MS);
      assert.equal(runs, 0);
      for (let day = 0; day < 2; day += 1) pass(DAY_MS);
      assert.equal(runs, 1);
    });
  });

  test('never runs once cancelled, also in the middle of a long wait', () => {
    controlled(({ clock, pass }) => {
      let runs = 0;
      const cancel = after({ delayMs: 60 * DAY_MS, run: () => (runs += 1), clock });
      for (let day = 0; day < 30; day += 1) pass(DAY_MS);
      cancel();
      cancel();
      for (let day = 0; day < 60; day += 1) pass(DAY_MS);
      assert.equal(runs, 0);
    });
  });

  test('takes zero, negative and infinite delays, and refuses NaN', async () => {
    await new Promise<void>((resolve) => void after({ delayMs: 0, run: resolve }));
    await new Promise<void>((resolve) => void after({ delayMs: -5, run: resolve }));
    after({ delayMs: Infinity, run: () => assert.fail('infinity has passed') })();
    assert.throws(() => after({ delayMs: NaN, run: () => undefined }), RangeError);
  });
});

describe('Due', () => {
  function dueIn(delayMs: number) {
    const time = { wall: Date.UTC(2026, 0, 1), monotonic: 5_000 };
    return { time, due: new Due({ now: () => time.wall, monotonic: () => time.monotonic }, delayMs) };
  }

  test('is reached when so much time has passed, by either clock', () => {
    for (const clock of ['wall', 'monotonic'] as const) {
      const { time, due } = dueIn(100);
      time[clock] += 99;
      assert.equal(due.reached(), false);
      time[clock] += 1;
      assert.equal(due.reached(), true);
      assert.equal(due.reached(), true);
    }
    assert.equal(dueIn(0).due.reached(), true);
  });

  test('a wall clock that is set forward, as after a sleep, makes it come early; one set back does not put it off', () => {
    const forward = dueIn(60_000);
    forward.time.wall += 3_600_000;
    assert.equal(forward.due.reached(), true);
    const back = dueIn(60_000);
    back.time.wall -= 3_600_000;
    back.time.monotonic += 59_999;
    assert.equal(back.due.reached(), false);
    back.time.monotonic += 1;
    assert.equal(back.due.reached(), true);
  });
});
