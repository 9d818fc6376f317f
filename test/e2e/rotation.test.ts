import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startMesh } from '../support/mesh.ts';
import type { AgentConnection, TestAgent } from '../support/test-agent.ts';

async function echo(connection: AgentConnection, text: string): Promise<void> {
  connection.socket.write(text);
  assert.equal((await connection.read(Buffer.byteLength(text))).toString(), text);
}

/** Until the session of this agent shows another certificate than before. */
const continued = (agent: TestAgent, from: number) => agent.waitFor('session_continued', () => true, { from });

function endsOf(agent: TestAgent): readonly unknown[] {
  return agent.sidecar.lines.filter(({ event }) => event === 'session_terminated' || event === 'session_not_continued');
}

// They mostly wait for certificates to grow old.
describe('rotation is make-before-break', { concurrency: true }, () => {
  test('with certificates of 10 s one stream stays open for a minute, in one session', async (t) => {
    const mesh = await startMesh(t, {
      authority: { svid_lifetime: '10s' },
      agents: { planner: { calls: ['researcher'] }, researcher: {} },
    });
    const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
    const stream = planner.connect('researcher');
    await echo(stream, 'begin');
    const [session] = await planner.sessions();
    const until = performance.now() + 60_000;
    for (let turn = 0; performance.now() < until; turn += 1) {
      await echo(stream, `turn ${turn}`);
      assert.equal(await planner.call('researcher', 'beside'), 'beside');
      await delay(250);
    }
    await echo(stream, 'end');
    const live = (await planner.sessions()).filter(({ state }) => state === 'live');
    assert.deepEqual(
      live.map(({ id }) => id),
      [session?.id],
      'it is the session that it was',
    );
    for (const agent of [planner, researcher]) {
      assert.deepEqual(endsOf(agent), []);
      const renewals = agent.sidecar.lines.filter(({ event }) => event === 'svid_renewed').length;
      assert.ok(renewals >= 6, `${agent.name}: ${renewals} renewals`);
      const direction = agent === planner ? 'outbound' : 'inbound';
      const ok = await agent.metric('ait_session_continuations_total', { direction, result: 'ok' });
      assert.ok(ok >= 6, `${agent.name}: ${ok} continuations`);
      assert.equal(await agent.metric('ait_session_continuations_total', { result: 'failed' }), 0);
    }
    stream.socket.destroy();
  });

  test('a revocation closes what was opened under every certificate of the session, at once', async (t) => {
    const mesh = await startMesh(t, {
      authority: { svid_lifetime: '12s' },
      agents: { planner: { calls: ['researcher'] }, researcher: {} },
    });
    const planner = mesh.agent('planner');
    const shownAtFirst = (await planner.status()).certificate.thumbprint;
    const first = planner.connect('researcher');
    await echo(first, 'under the first certificate');
    await continued(planner, 0);
    const second = planner.connect('researcher');
    await echo(second, 'under a later one');
    const [session] = await planner.sessions();
    assert.equal(session?.connections, 2);
    // The certificate that is no longer in use, but that one of the connections was opened with.
    await mesh.authority.writePolicy('revocations/leak', {
      kind: 'Revocation',
      id: 'leak',
      certificate: shownAtFirst,
      reason: 'its key was found in a core dump',
    });
    await mesh.agent('researcher').waitForVerdict({ code: 'REVOKED', sessionId: session?.id });
    await Promise.all([first.closed, second.closed]);
  });

  test('a rotation that fails keeps the old certificate, says so, and the session ends when that one does', async (t) => {
    const mesh = await startMesh(t, {
      authority: { svid_lifetime: '8s', outage_tolerance: '1h' },
      agents: { planner: { calls: ['researcher'] }, researcher: {} },
    });
    const planner = mesh.agent('planner');
    const { address } = mesh.authority;
    const stream = planner.connect('researcher');
    await echo(stream, 'begin');
    await mesh.authority.process.kill();
    const failed = await planner.waitFor('svid_renewal_failed');
    assert.equal(failed['level'], 'warn');
    assert.ok((await planner.metric('ait_certificate_rotations_total', { kind: 'svid', result: 'failed' })) > 0);
    await echo(stream, 'still under the old one');
    const end = await planner.waitForVerdict({ code: 'CERTIFICATE_EXPIRED' });
    // Whichever of the two certificates ended first.
    const failures = [failed, await mesh.agent('researcher').waitFor('svid_renewal_failed')];
    const firstEnd = Math.min(...failures.map(({ expires }) => Date.parse(String(expires))));
    assert.ok(firstEnd <= Date.parse(String(end['ts'])), 'not before its end');
    await stream.closed;
    await assert.rejects(planner.call('researcher'));
    // Back, without anybody doing anything but starting the authority.
    const from = planner.sidecar.mark();
    await mesh.authority.start();
    assert.equal(mesh.authority.address, address);
    await planner.waitFor('standing_in_order', () => true, { from, deadlineMs: 30_000 });
  });
});
