import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { baselineYaml } from '../support/agent-files.ts';
import { startMesh } from '../support/mesh.ts';
import type { TestAgent } from '../support/test-agent.ts';

/** Certificates are renewed after 6 to 9 of these 15 seconds: what is left is enough on a busy machine. */
const AUTHORITY = { svid_lifetime: '15s' };

const rotated = (agent: TestAgent, from: number) => agent.waitFor('svid_renewed', () => true, { from });

/** It answers, and it is not so busy with itself that it answers late. */
async function assertResponsive(agent: TestAgent): Promise<void> {
  for (let ask = 0; ask < 5; ask += 1) {
    const askedAt = performance.now();
    await agent.status();
    const tookMs = performance.now() - askedAt;
    assert.ok(tookMs < 2_000, `the admin socket took ${Math.round(tookMs)} ms to answer`);
  }
}

function countOf(agent: TestAgent, event: string, from = 0): number {
  return agent.sidecar.lines.slice(from).filter((line) => line.event === event).length;
}

// They mostly wait for certificates to grow old.
describe('a certificate is renewed', { concurrency: true }, () => {
  test('while the agent is drifted: the sidecar answers, says it once, and the old prompt brings it back', async (t) => {
    const mesh = await startMesh(t, {
      authority: AUTHORITY,
      agents: { planner: { calls: ['researcher'] }, researcher: {} },
    });
    const planner = mesh.agent('planner');
    assert.equal(await planner.call('researcher'), 'ping');
    const prompt = 'You are planner. Be brief.\n';

    // First one renewal, then one after which the certificate that was good is no longer valid at all.
    for (const renewals of [1, 2]) {
      const from = planner.sidecar.mark();
      await planner.files.writePrompt('You are evil.\n');
      await planner.waitFor('peer_refused', ({ subject }) => subject === 'self', { from });
      for (let renewal = 0; renewal < renewals; renewal += 1) await rotated(planner, planner.sidecar.mark());
      await assertResponsive(planner);
      assert.equal((await planner.status()).inOrder, false);
      const refusals = planner.sidecar.lines.slice(from).filter(({ event }) => event === 'peer_refused');
      assert.equal(refusals.filter(({ code }) => code === 'SYSTEM_PROMPT_DRIFT').length, 1, 'one change, one line');
      assert.equal(countOf(planner, 'standing_in_order', from), 0, 'drifted is drifted, whatever the certificate');
      await assert.rejects(planner.call('researcher'));
      const repaired = planner.sidecar.mark();
      await planner.files.writePrompt(prompt);
      await planner.waitFor('standing_in_order', () => true, { from: repaired });
      assert.equal(await planner.call('researcher', 'again'), 'again');
    }
  });

  test('after its baseline was retired: the open session goes on, and the sidecar does not go round in circles', async (t) => {
    const mesh = await startMesh(t, {
      authority: AUTHORITY,
      agents: { planner: { calls: ['researcher'] }, researcher: {} },
    });
    const planner = mesh.agent('planner');
    const held = planner.connect('researcher');
    held.socket.write('held');
    await held.read(4);
    const from = planner.sidecar.mark();
    const { measurement } = planner;
    const approved = baselineYaml({ agent: 'planner', id: 'planner-1', measurement });
    const retired = approved.replace('state: approved', 'state: retired');
    assert.notEqual(retired, approved);
    await mesh.authority.writePolicy('baselines/planner-1', retired);
    await planner.waitFor('state_applied', () => true, { from });
    await rotated(planner, from);
    await assertResponsive(planner);
    held.socket.write('still');
    assert.equal((await held.read(5)).toString(), 'still');
    assert.equal((await planner.sessions()).filter(({ state }) => state === 'live').length, 1);
    assert.equal(countOf(planner, 'standing_in_order', from), 0);
    assert.equal(countOf(planner, 'peer_refused', from), 0);
    assert.equal(await planner.metric('ait_drift_total', { peer: 'self' }), 0);
    held.socket.destroy();
  });

  test('of the called agent, twice: no call fails that is made meanwhile', async (t) => {
    const mesh = await startMesh(t, {
      authority: AUTHORITY,
      agents: { planner: { calls: ['researcher'] }, researcher: {} },
    });
    const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
    const renewals = () => countOf(researcher, 'svid_renewed');
    const deadline = performance.now() + 60_000;
    let calls = 0;
    for (; renewals() < 2; calls += 1) {
      assert.equal(await planner.call('researcher', 'ping'), 'ping', `call ${calls}`);
      assert.ok(performance.now() < deadline, `${renewals()} renewals`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (let last = 0; last < 10; last += 1) assert.equal(await planner.call('researcher', 'last'), 'last');
    assert.ok(calls > 50, `${calls} calls`);
    for (const agent of [planner, researcher]) {
      const refused = (await agent.decisions()).filter(({ outcome }) => outcome === 'refused' || outcome === 'denied');
      // A caller that meets the new certificate hangs up and makes a new exchange: that is no refusal of anybody.
      assert.deepEqual(refused, []);
    }
  });
});
