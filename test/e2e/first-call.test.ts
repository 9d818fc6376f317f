import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMesh } from '../support/mesh.ts';

test('two approved agents: a call gets through, and both sides record the same session', async (t) => {
  const startedAt = performance.now();
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  t.diagnostic(`mesh up after ${Math.round(performance.now() - startedAt)} ms`);
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  assert.equal(await planner.call('researcher', 'hello'), 'hello');
  assert.equal(researcher.app.received.toString(), 'hello\n');
  const [ours] = await planner.sessions();
  const [theirs] = await researcher.sessions();
  assert.equal(ours?.role, 'dialler');
  assert.equal(theirs?.role, 'acceptor');
  assert.equal(ours.id, theirs.id);
  assert.equal(ours.correlationId, theirs.correlationId);
});
