import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { AgentFiles } from '../support/agent-files.ts';
import { startMesh } from '../support/mesh.ts';

/** A manifest of so many tools. */
function manifestOf(count: number): string {
  const parameters = { type: 'object' };
  const tools = Array.from({ length: count }, (_, index) => ({
    type: 'function',
    function: { name: `tool_number_${index}_of_many`, parameters },
  }));
  return JSON.stringify(tools);
}

test('as many tools as a token holds are rolled out under open calls; more are MEASUREMENT_INVALID, and no crash', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const held = planner.connect('researcher');
  held.socket.write('held');
  await held.read(4);

  await t.test('250 tools, approved before: the open call goes on, new ones are made', async () => {
    const staged = new AgentFiles(join(mesh.folder, 'staged'));
    await staged.create('planner');
    await writeFile(staged.tools, manifestOf(250));
    const marks = [planner, researcher].map((agent) => ({ agent, from: agent.sidecar.mark() }));
    await mesh.approve('planner', { id: 'planner-2', files: staged });
    for (const { agent, from } of marks) await agent.waitFor('state_applied', () => true, { from });
    const from = planner.sidecar.mark();
    await writeFile(planner.files.tools, manifestOf(250));
    await planner.waitFor('ait_renewed', () => true, { from });
    held.socket.write('still');
    assert.equal((await held.read(5)).toString(), 'still');
    assert.equal(await planner.call('researcher', 'new'), 'new');
  });

  await t.test('400 tools: MEASUREMENT_INVALID says how large, whose, and how large it may be', async () => {
    const from = planner.sidecar.mark();
    await writeFile(planner.files.tools, manifestOf(400));
    const { detail } = await planner.waitForVerdict({ subject: 'self', code: 'MEASUREMENT_INVALID' }, { from });
    assert.match(String(detail), /^tools: the digests take \d{5} bytes, most of them of tools; a token holds 32768$/);
    await held.closed;
    await assert.rejects(planner.call('researcher'));
    assert.equal((await planner.status()).inOrder, false);
  });

  await t.test('back at 250, the same sidecar goes on', async () => {
    const from = planner.sidecar.mark();
    await writeFile(planner.files.tools, manifestOf(250));
    await planner.waitFor('standing_in_order', () => true, { from });
    assert.equal(await planner.call('researcher', 'again'), 'again');
    assert.equal(planner.processes.length, 1);
    assert.equal(await planner.metric('ait_drift_total'), 0);
    assert.equal(await researcher.metric('ait_drift_total'), 0);
  });
});

test('whoever drifts counts it as its own, not against its callers, and tells them no more than UNAVAILABLE', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  await researcher.files.writePrompt('You are evil.\n');
  await researcher.waitFor('peer_refused', ({ subject }) => subject === 'self');
  await assert.rejects(planner.call('researcher'));

  const told = await planner.waitForVerdict({ code: 'PEER_REFUSED' });
  assert.equal((told['peerSaid'] as { reason: string }).reason, 'UNAVAILABLE');
  assert.ok(!JSON.stringify(told).includes('sha256:'), 'the caller learns no digest');
  const { correlationId } = told;
  const denied = await researcher.waitForVerdict({ correlationId });
  assert.deepEqual([denied.event, denied['code'], denied['self']], ['peer_denied', 'SYSTEM_PROMPT_DRIFT', true]);

  const scrape = await httpGet({ address: researcher.addresses.metrics }, '/metrics');
  assert.doesNotMatch(scrape, /ait_drift_total\{[^}]*peer="planner"/);
  assert.equal(await researcher.metric('ait_drift_total', { peer: 'self', dimension: 'system_prompt' }), 1);
  assert.equal(await planner.metric('ait_drift_total'), 0);
});
