import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched, exchangeRefusal } from '../support/attacks.ts';
import { rotateKey } from '../support/key-phases.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

const AGENTS = { planner: { calls: ['researcher'] }, researcher: {} } as const;

test('a compromised AIT key is removed: sessions end with TRUST_WITHDRAWN, its tokens are refused, all comes back by itself', async (t) => {
  const mesh = await startMesh(t, { agents: AGENTS });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const attacker = await Attacker.of(t, mesh);
  const held = planner.connect('researcher');
  held.socket.write('held');
  await held.read(4);

  await rotateKey(mesh, 'ait', { compromised: true });
  await held.closed;
  for (const agent of [planner, researcher]) {
    const ended = await agent.waitForVerdict({ code: 'TRUST_WITHDRAWN' });
    assert.match(String(ended['detail']), /the key \S+ that signed the token is not in the bundle/);
    await agent.waitFor('standing_in_order', () => true, {
      from: agent.sidecar.lines.findIndex(({ code }) => code === 'TRUST_WITHDRAWN'),
    });
  }
  const answer = await pollUntil(
    () => planner.call('researcher', 'again').catch(() => ''),
    (text) => text === 'again',
  );
  assert.equal(answer, 'again');
  assert.equal(await planner.metric('ait_drift_total'), 0);

  const before = researcher.app.connections;
  const stolen = attacker.member('planner');
  assert.equal(await exchangeRefusal(attacker, researcher, stolen), 'AIT_ISSUER_UNKNOWN');
  assert.equal(researcher.app.connections, before, 'the attacker got through');
});

test('a session whose token is by a key that is then removed ends, though its peer does nothing about it', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const researcher = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner'));
  await rotateKey(mesh, 'ait', { compromised: true });
  const ended = await researcher.waitForVerdict({ correlationId: exchange.correlationId });
  assert.deepEqual([ended.event, ended['code']], ['session_terminated', 'TRUST_WITHDRAWN']);
  await exchange.closed;
  assertAppUntouched(researcher);
});

test('a compromised root is removed: sessions end, sidecars join again by themselves, its certificates are refused', async (t) => {
  const mesh = await startMesh(t, { agents: AGENTS });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const attacker = await Attacker.of(t, mesh);
  const held = planner.connect('researcher');
  held.socket.write('held');
  await held.read(4);
  const { instance } = await researcher.status();

  await rotateKey(mesh, 'root', { compromised: true });
  await held.closed;
  for (const agent of [planner, researcher]) {
    const ended = await agent.waitForVerdict({ code: 'TRUST_WITHDRAWN' });
    assert.match(String(ended['detail']), /the root that issued the certificate is not in the bundle/);
    await agent.waitFor('svid_renewed', () => true, { deadlineMs: 20_000 });
    await agent.waitFor('standing_in_order', () => true, {
      from: agent.sidecar.lines.findIndex(({ code }) => code === 'TRUST_WITHDRAWN'),
      deadlineMs: 20_000,
    });
  }
  assert.notEqual((await researcher.status()).instance, instance);
  await pollUntil(
    () => planner.call('researcher', 'again').catch(() => ''),
    (text) => text === 'again',
  );
  const from = researcher.sidecar.mark();
  const socket = await attacker.tls(researcher.inbound, { identity: attacker.member('planner') });
  const refused = await researcher.waitFor('peer_refused', () => true, { from });
  assert.equal(refused['code'], 'TLS_HANDSHAKE_FAILED');
  socket.destroy();
});

test('a compromised state key is removed: no session ends, and what changes afterwards still arrives', async (t) => {
  const mesh = await startMesh(t, { agents: AGENTS });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const held = planner.connect('researcher');
  held.socket.write('held');
  await held.read(4);
  const marks = [planner.sidecar.mark(), researcher.sidecar.mark()];
  await rotateKey(mesh, 'state', { compromised: true });
  for (const [at, agent] of [planner, researcher].entries()) {
    await agent.waitFor('state_applied', () => true, { from: marks[at] ?? 0 });
  }
  await mesh.nudge(planner);
  held.socket.write('still');
  assert.equal((await held.read(5)).toString(), 'still');
  for (const agent of [planner, researcher]) {
    assert.equal(await agent.metric('ait_sessions_terminated_total'), 0, agent.name);
    assert.equal(await agent.metric('ait_bundle_refused_total'), 0, agent.name);
  }
  held.socket.destroy();
  // What they kept is signed by the new key: it is all that a sidecar knows at its next start.
  for (const agent of [planner, researcher]) {
    await agent.sidecar.stop();
    await agent.start();
    assert.equal(
      agent.sidecar.lines.some(({ event }) => event === 'state_not_restored'),
      false,
      agent.name,
    );
  }
});
