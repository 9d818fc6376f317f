import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Readiness } from '../../../src/platform/readiness.ts';

const starting = () =>
  new Readiness([
    { name: 'bundle', reason: 'no bundle yet' },
    { name: 'svid', reason: 'not joined' },
  ]);

test('readiness without an initial blocker is refused', () => {
  assert.throws(() => new Readiness([]), RangeError);
});

test('it is ready when the last blocker has gone, and no longer when one comes back', () => {
  const readiness = starting();
  assert.equal(readiness.ready, false);
  readiness.clear('bundle');
  assert.deepEqual(readiness.blockers(), [{ name: 'svid', reason: 'not joined' }]);
  readiness.clear('svid');
  readiness.clear('svid');
  assert.equal(readiness.ready, true);
  readiness.block('bundle', 'stale');
  assert.equal(readiness.ready, false);
});

test('listeners hear changes only, and one that fails does not silence another', () => {
  const readiness = starting();
  const heard: number[] = [];
  readiness.onChange(() => {
    throw new Error('broken listener');
  });
  const unsubscribe = readiness.onChange((blockers) => heard.push(blockers.length));
  assert.throws(() => readiness.clear('bundle'), AggregateError);
  readiness.block('svid', 'not joined');
  assert.throws(() => readiness.block('svid', 'refused'), AggregateError);
  unsubscribe();
  assert.throws(() => readiness.clear('svid'), AggregateError);
  assert.deepEqual(heard, [1, 1]);
});

test('whenReady waits, returns at once when ready, and gives up with its signal', async () => {
  const readiness = starting();
  const waiting = readiness.whenReady();
  const controller = new AbortController();
  const givenUp = readiness.whenReady(controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(givenUp, /enough/);
  await assert.rejects(readiness.whenReady(controller.signal), /enough/);
  readiness.clear('bundle');
  readiness.clear('svid');
  await waiting;
  await readiness.whenReady();
});

test('a view without some blockers follows the whole, and has a readiness of its own', async () => {
  const readiness = new Readiness([
    { name: 'join', reason: 'not admitted' },
    { name: 'app', reason: 'not listening' },
  ]);
  const view = readiness.without(new Set(['app']));
  let ready = false;
  const whenReady = view.whenReady().then(() => (ready = true));
  assert.deepEqual([view.ready, view.blockers().map(({ name }) => name)], [false, ['join']]);
  readiness.clear('join');
  await whenReady;
  assert.deepEqual([ready, view.ready, readiness.ready], [true, true, false]);
  readiness.block('draining', 'going');
  assert.deepEqual([view.ready, view.blockers().map(({ name }) => name)], [false, ['draining']]);
});
