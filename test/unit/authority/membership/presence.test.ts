import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Presence } from '../../../../src/authority/membership/presence.ts';

function presenceAt(start: number) {
  let now = start;
  const clock = { now: () => now, monotonic: () => now };
  const presence = new Presence({ clock, graceMs: 1000 });
  return { presence, wait: (ms: number) => (now += ms) };
}

test('after a start everybody counts as there until they had the time to come back', (t) => {
  const { presence, wait } = presenceAt(5000);
  t.after(() => presence.stop());
  assert.equal(presence.isThere('a'), true);
  wait(1000);
  assert.equal(presence.isThere('a'), false);
});

test('an open Watch makes an instance be there; a moment after the last one ended it is gone', (t) => {
  const { presence, wait } = presenceAt(0);
  t.after(() => presence.stop());
  wait(5000);
  let told = 0;
  presence.onChange(() => (told += 1));
  const [endFirst, endSecond] = [presence.watching('a'), presence.watching('a')];
  assert.equal(told, 1);
  assert.equal(presence.isThere('a'), true);
  endFirst();
  endFirst();
  wait(5000);
  assert.equal(presence.isThere('a'), true, 'the second Watch is still open');
  endSecond();
  wait(999);
  assert.equal(presence.isThere('a'), true);
  wait(1);
  assert.equal(presence.isThere('a'), false);
  assert.equal(presence.isThere('b'), false, 'never seen');
});

test('listeners are told when the time after a Watch is over', async (t) => {
  const presence = new Presence({ clock: { now: Date.now, monotonic: () => performance.now() }, graceMs: 20 });
  t.after(() => presence.stop());
  presence.watching('a')();
  // Waiting for it keeps no process alive, so something else has to.
  const alive = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(alive));
  await new Promise<void>((resolve) => presence.onChange(() => (presence.isThere('a') ? undefined : resolve())));
  assert.equal(presence.isThere('a'), false);
});
