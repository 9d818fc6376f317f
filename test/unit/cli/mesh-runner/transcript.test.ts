import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fillIn } from '../../../../src/cli/mesh-runner/mesh-plan.ts';
import { sumOf } from '../../../../src/cli/mesh-runner/metrics-reader.ts';
import { DeadlineMissed, Transcript } from '../../../../src/cli/mesh-runner/transcript.ts';

const ready = { source: 'a', what: 'ready', match: ({ text }: { text: string }) => text === 'ready' };

test('a line that came before is found, one that comes later is waited for', async () => {
  const transcript = new Transcript();
  transcript.add('a', 'ready');
  await transcript.waitFor(ready);
  const from = transcript.position;
  const later = transcript.waitFor({ ...ready, from });
  transcript.add('b', 'ready');
  transcript.add('a', 'ready');
  assert.equal((await later).source, 'a');
});

test('a deadline that is missed tells the last lines of that process', async () => {
  const transcript = new Transcript();
  transcript.add('a', 'cannot bind');
  transcript.add('b', 'other');
  await assert.rejects(transcript.waitFor({ ...ready, deadlineMs: 5 }), (error: unknown) => {
    assert.ok(error instanceof DeadlineMissed);
    assert.match(error.message, /ready did not come within 5 ms.*cannot bind/s);
    assert.doesNotMatch(error.message, /other/);
    return true;
  });
});

test('JSON is read where it is an object, and is a record where it names an event', () => {
  const transcript = new Transcript();
  for (const text of ['{"event":"x","n":1}', '{"n":1}', '{broken', 'text']) transcript.add('a', text);
  const lines = transcript.since(0);
  assert.deepEqual(
    lines.map(({ record }) => record?.event),
    ['x', undefined, undefined, undefined],
  );
  assert.deepEqual(
    lines.map(({ json }) => json?.['n']),
    [1, 1, undefined, undefined],
  );
});

test('placeholders stand for addresses, and an unknown one is an error', () => {
  const known = { listen: 'unix:/run/a.sock', peers: new Map([['b', '127.0.0.1:9']]) };
  assert.equal(fillIn('--on ${listen} --to ${peer.b}', known), '--on unix:/run/a.sock --to 127.0.0.1:9');
  assert.equal(fillIn('${listen.path}', known), '/run/a.sock');
  assert.throws(() => fillIn('${peer.c}', known), /\$\{peer\.c\} stands for nothing here/);
});

test('a metric is summed over the series that have the labels', () => {
  const exposition =
    'ait_drift_total{peer="self",dimension="tools"} 2\nait_drift_total{peer="x",dimension="tools"} 3\nait_drift_totals 9\n';
  assert.equal(sumOf(exposition, 'ait_drift_total', { dimension: 'tools' }), 5);
  assert.equal(sumOf(exposition, 'ait_drift_total', { peer: 'self' }), 2);
  assert.equal(sumOf(exposition, 'ait_absent_total'), 0);
});
