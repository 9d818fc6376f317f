import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMesh } from '../support/mesh.ts';

test("trust rule 15: a baseline counts as a whole: v1's prompt with v2's tools, both approved, is drift", async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const { files } = planner;
  assert.equal(await planner.call('researcher', 'v1'), 'v1');

  // Version 2 is approved before it is rolled out.
  const next = await mesh.register('planner-next', { approve: false });
  await next.create('planner');
  await next.writePrompt('You are planner, version 2.\n');
  await next.writeTools('search_2');
  const from = planner.sidecar.mark();
  await mesh.approve('planner', { id: 'planner-2', files: next });
  await planner.waitFor('state_applied', () => true, { from });

  await files.writeTools('search_2');
  const own = await planner.waitFor('peer_refused', ({ subject }) => subject === 'self', { from });
  // From version 1 two tools differ (one went, one came), from version 2 one prompt: that is the one that shares most.
  assert.deepEqual([own['code'], own['nearestBaseline']], ['SYSTEM_PROMPT_DRIFT', 'planner-2']);
  assert.deepEqual(
    (own['differences'] as { dimension: string }[]).map(({ dimension }) => dimension),
    ['system_prompt'],
  );
  await assert.rejects(planner.call('researcher'));

  await files.writePrompt('You are planner, version 2.\n');
  await planner.waitFor('standing_in_order', () => true, { from });
  assert.equal(await planner.call('researcher', 'v2'), 'v2');
  assert.deepEqual(
    (await researcher.decisions()).filter(({ outcome }) => outcome === 'denied'),
    [],
  );
});

test('trust rule 15: an agent with no approved baseline is admitted nowhere: BASELINE_MISSING', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { start: false, calls: ['researcher'], approve: false }, researcher: {} },
  });
  const planner = mesh.agent('planner');
  await planner.start({ awaitReady: false });
  const own = await planner.waitFor('peer_refused', ({ subject }) => subject === 'self');
  assert.equal(own['code'], 'BASELINE_MISSING');
  await assert.rejects(planner.call('researcher'));
  assert.equal((await planner.status()).ready, false);
});
