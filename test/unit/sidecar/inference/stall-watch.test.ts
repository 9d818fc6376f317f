import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StallWatch } from '../../../../src/sidecar/inference/stall-watch.ts';

test('silence counts from the last sign of life, under the limit of the moment, and not while we do not listen', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const pass = (ms: number) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  const stalls: number[] = [];
  const clock = { now: () => now, monotonic: () => now };
  const watch = new StallWatch({ clock, limitMs: 100, onStall: (limitMs) => stalls.push(limitMs) });
  pass(90);
  watch.resume(100);
  pass(90);
  assert.deepEqual(stalls, [], 'something came in between');
  watch.pause();
  pass(1000);
  assert.deepEqual(stalls, [], 'nobody listened');
  watch.resume(50);
  pass(49);
  assert.deepEqual(stalls, []);
  pass(1);
  assert.deepEqual(stalls, [50]);
  watch.stop();
});
