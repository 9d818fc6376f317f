import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentFiles } from '../support/agent-files.ts';
import { LoggedProcess } from '../support/child-process.ts';
import { awaitAddress, startMesh, type TestMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { shiftedClock } from '../support/shifted-clock.ts';
import { AIT_BINARY, type TestAgent } from '../support/test-agent.ts';

const TEN_MINUTES = 600_000;

/** A new prompt, approved before it is there. */
async function rollOut(mesh: TestMesh, agent: TestAgent): Promise<void> {
  const text = `You are ${agent.name}, version 2.\n`;
  const next = new AgentFiles(join(mesh.folder, 'next'));
  await next.create(agent.name);
  await next.writePrompt(text);
  const from = agent.sidecar.mark();
  await mesh.approve(agent.name, { id: `${agent.name}-2`, files: next });
  await agent.waitFor('state_applied', () => true, { from });
  await agent.files.writePrompt(text);
}

for (const [way, onSignalMs] of [
  ['ahead', TEN_MINUTES],
  ['back', -TEN_MINUTES],
] as const) {
  test(`the authority's clock is set ten minutes ${way} and put right again: sessions live on, state and tokens follow`, async (t) => {
    const mesh = await startMesh(t, {
      authorityOptions: shiftedClock({ onSignalMs }),
      authority: { outage_tolerance: '30m', svid_lifetime: '20m' },
      agents: { planner: { calls: ['researcher'] }, researcher: {} },
    });
    const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
    const call = planner.connect('researcher');
    const talks = async (word: string) => {
      call.socket.write(word);
      assert.equal((await call.read(word.length)).toString(), word);
    };
    await talks('before');
    mesh.authority.process.signal('SIGUSR2');

    // The state still comes, and is taken.
    await mesh.nudge(planner);
    await talks('meanwhile');
    assert.equal((await planner.status()).inOrder, true);
    assert.equal((await researcher.status()).inOrder, true);

    // Whoever has to be issued something now is told both times, and goes on with what it had.
    const from = planner.sidecar.mark();
    await rollOut(mesh, planner);
    const { reason, error } = await planner.waitFor('ait_renewal_failed', () => true, { from });
    assert.equal(reason, way === 'ahead' ? 'AIT_NOT_YET_VALID' : 'CERTIFICATE_NOT_VALID_NOW');
    const { message } = error as { message: string };
    const said = /(start of the token \(nbf\)|the certificate is valid from) \S+Z, our clock says \S+Z/;
    assert.match(message, said);

    mesh.authority.process.signal('SIGUSR2');
    await planner.waitFor('ait_renewed', () => true, { from, deadlineMs: 30_000 });
    await pollUntil(
      async () => (await planner.status()).inOrder,
      (fine) => fine,
      { deadlineMs: 30_000 },
    );
    await mesh.nudge(planner);
    assert.equal(await planner.call('researcher', 'after'), 'after');
    assert.ok(!planner.sidecar.lines.some(({ event }) => event === 'state_refused'));
    assert.equal(await researcher.metric('ait_bundle_refused_total'), 0);
    call.socket.destroy();
  });
}

test("the authority's clock is set back as a certificate comes due: it is kept, and the state goes on being renewed", async (t) => {
  const mesh = await startMesh(t, {
    authorityOptions: shiftedClock({ onSignalMs: -TEN_MINUTES }),
    authority: { outage_tolerance: '6s', svid_lifetime: '18s' },
    agents: { planner: {} },
  });
  const planner = mesh.agent('planner');
  await planner.waitFor('ait_renewed');
  mesh.authority.process.signal('SIGUSR2');
  const success = () => planner.metric('ait_bundle_last_success_timestamp_seconds');
  const first = await success();
  // That clock takes the certificate for one of the future, and would take a new one, too.
  const { error } = await planner.waitFor('svid_renewal_failed', () => true, { deadlineMs: 20_000 });
  assert.match((error as { message: string }).message, /is valid from \S+Z, our clock says \S+Z/);
  await pollUntil(success, (seconds) => seconds > first + 6, { deadlineMs: 20_000, everyMs: 100 });
  for (const event of ['svid_renewal_refused', 'state_refused']) {
    assert.ok(!planner.sidecar.lines.some((line) => line.event === event), event);
  }
  assert.ok(!planner.sidecar.lines.some(({ code }) => code === 'STATE_STALE'));
});

test('joining at an authority whose clock is ten minutes off: ahead is refused with both times and heals, back is let in', async (t) => {
  // Set up twenty minutes ago, as it were: or its root would be of the future for a clock that is behind.
  const authorityOptions = shiftedClock({ atStartMs: -2 * TEN_MINUTES });
  const mesh = await startMesh(t, { authorityOptions, agents: { planner: { start: false } } });
  const planner = mesh.agent('planner');
  await mesh.authority.process.stop();
  mesh.authority.nodeOptions = shiftedClock({ atStartMs: TEN_MINUTES });
  await mesh.authority.start();
  await planner.start({ awaitReady: false });
  const { detail } = await planner.waitFor('join_failed');
  assert.match(String(detail), /CERTIFICATE_NOT_VALID_NOW: the certificate is valid from \S+Z, our clock says \S+Z/);
  assert.ok(!mesh.authority.process.lines.some(({ event }) => event === 'joined'));
  await mesh.authority.process.stop();
  mesh.authority.nodeOptions = shiftedClock({ atStartMs: -TEN_MINUTES });
  await mesh.authority.start();
  await planner.waitFor('sidecar_ready', () => true, { deadlineMs: 20_000 });
  assert.equal((await planner.status()).inOrder, true);
});

test('a sidecar whose clock is set ten minutes ahead within what is signed: nothing ends, and what is due is renewed', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const file = join(planner.folder, 'shifted.yaml');
  await writeFile(file, JSON.stringify(planner.config));
  const args = [...shiftedClock({ onSignalMs: TEN_MINUTES }), AIT_BINARY, 'sidecar', '--config', file];
  planner.processes.push(new LoggedProcess('sidecar planner, with another clock', args));
  await planner.waitFor('sidecar_ready');
  await awaitAddress(planner, researcher.inbound);
  const call = planner.connect('researcher');
  for (const word of ['before', 'ahead!', 'again!']) {
    call.socket.write(word);
    assert.equal((await call.read(6)).toString(), word);
    planner.sidecar.signal('SIGUSR2');
    await mesh.nudge(planner);
  }
  for (const agent of [planner, researcher]) {
    assert.equal(await agent.metric('ait_sessions_terminated_total'), 0);
    assert.equal(await agent.metric('ait_drift_total'), 0);
  }
  call.socket.destroy();
});
