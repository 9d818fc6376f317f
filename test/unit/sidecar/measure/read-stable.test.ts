import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../../src/platform/clock.ts';
import { readStable, type Reading } from '../../../../src/sidecar/measure/read-stable.ts';

const good = (key: string): Reading<string> => ({ ok: true, key, value: key });
const bad = (key: string): Reading<string> => ({ ok: false, key: `!${key}`, reason: 'empty', detail: key });

/** Reads from a script, the last line again and again. */
async function settle(script: readonly Reading<string>[], settledKey?: string) {
  let reads = 0;
  let unsettled = 0;
  const startedAt = performance.now();
  const outcome = await readStable({
    read: () => script[Math.min(reads++, script.length - 1)] ?? bad('no script'),
    settledKey,
    clock: systemClock,
    onUnsettled: () => {
      unsettled += 1;
    },
  });
  return { outcome, reads, unsettled, tookMs: performance.now() - startedAt };
}

test('what is settled needs one look, a change two that agree', async () => {
  assert.deepEqual((await settle([good('a')], 'a')).reads, 1);
  const { outcome, reads, unsettled } = await settle([good('b')], 'a');
  assert.deepEqual([outcome.key, reads, unsettled], ['b', 2, 1]);
});

test('failures on the way are forgiven, in both directions', async () => {
  assert.equal((await settle([bad('empty'), bad('empty'), good('b')], 'a')).outcome.key, 'b');
  const back = await settle([bad('empty'), bad('empty'), bad('empty'), good('a')], 'a');
  assert.deepEqual([back.outcome.key, back.reads], ['a', 4]);
});

test('a failure counts after it stood for 30 ms', async () => {
  const { outcome, tookMs } = await settle([bad('empty')], 'a');
  assert.equal(outcome.key, '!empty');
  assert.ok(tookMs >= 30, `after ${tookMs} ms`);
});

test('a failure seen twice by a process that was held up in between does not count yet', async () => {
  let reads = 0;
  const outcome = await readStable({
    read: () => {
      reads += 1;
      const until = performance.now() + (reads === 2 ? 60 : 0);
      while (performance.now() < until);
      return reads < 3 ? bad('empty') : good('a');
    },
    settledKey: 'a',
    clock: systemClock,
  });
  assert.deepEqual([outcome.key, reads], ['a', 3]);
});

test('a source that flips to other content and back must agree with itself twice', async () => {
  const { outcome, reads } = await settle([good('b'), good('a'), good('a')], 'a');
  assert.deepEqual([outcome.key, reads], ['a', 3]);
});

test('endless change is unstable after 30 ms, but never for the process being slow alone', async () => {
  const endless = Array.from({ length: 1_000 }, (_, index) => good(String(index)));
  const { outcome, tookMs } = await settle(endless);
  assert.ok(!outcome.ok && outcome.reason === 'unstable');
  assert.ok(tookMs >= 30 && tookMs < 250, `after ${tookMs} ms`);

  let reads = 0;
  const slow = await readStable({
    read: () => {
      reads += 1;
      const until = performance.now() + (reads === 2 ? 60 : 0);
      while (performance.now() < until);
      return good(reads === 1 ? 'a' : 'b');
    },
    settledKey: undefined,
    clock: systemClock,
  });
  assert.equal(slow.key, 'b');
});
