import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { forgeState } from '../support/forged-state.ts';
import { startMesh } from '../support/mesh.ts';

test('an authority that has stopped answering: calls go on for the outage tolerance and not a moment longer', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: {} },
    authority: { outage_tolerance: '3s' },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const call = planner.connect('researcher');
  call.socket.write('begin');
  await call.read(5);
  mesh.authority.process.signal('SIGSTOP');
  assert.equal(await planner.call('researcher', 'still'), 'still');
  await call.closed;
  for (const agent of [planner, researcher]) {
    const own = await agent.waitFor('peer_refused', ({ subject }) => subject === 'self');
    assert.equal(own['code'], 'STATE_STALE');
    assert.ok((own['clocks'] as { ours: number; theirs: number }).ours >= (own['clocks'] as { theirs: number }).theirs);
  }
  await assert.rejects(planner.call('researcher'));
  mesh.authority.process.signal('SIGCONT');
  await planner.waitFor('standing_in_order', () => true, {
    from: planner.sidecar.lines.findIndex(({ code }) => code === 'STATE_STALE'),
  });
  await researcher.waitFor('standing_in_order', () => true, {
    from: researcher.sidecar.lines.findIndex(({ code }) => code === 'STATE_STALE'),
  });
  await mesh.nudge(planner);
  assert.equal(await planner.call('researcher', 'again'), 'again');
});

test('an authority that was put back to an older state is refused: STATE_ROLLED_BACK, what is in force stays', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const { authority } = mesh;
  const backup = join(mesh.folder, 'backup');
  await cp(authority.stateDir, backup, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  await mesh.nudge(planner);
  await mesh.nudge(researcher);
  await authority.process.kill();
  await rm(authority.stateDir, { recursive: true });
  await cp(backup, authority.stateDir, { recursive: true });
  await authority.removePolicy('revocations/nobody');
  await authority.start();
  for (const agent of [planner, researcher]) {
    assert.match(String((await agent.waitFor('state_refused'))['code']), /^STATE_(ROLLED_BACK|FORKED)$/);
  }
  assert.equal(await planner.call('researcher', 'still'), 'still');
});

test('a kept state that was tampered with is not believed at the next start', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const researcher = mesh.agent('researcher');
  const keys = await mesh.authority.keys();
  for (const [what, change] of Object.entries({
    'signed by the AIT key': { ...keys, state_key: keys.ait_key },
    'for another recipient': keys,
    'past its end': keys,
  })) {
    await t.test(what, async () => {
      await researcher.sidecar.stop();
      const planner = mesh.agent('planner').name;
      await forgeState(researcher, change, ({ head, objects }) => ({
        head: {
          ...head,
          ...(what === 'for another recipient' && { recipient: `spiffe://acme.example/agent/${planner}` as never }),
          ...(what === 'past its end' && { notAfter: Date.now() - 1 }),
        },
        // Without its registration, the researcher would be refused everything.
        objects: what === 'past its end' ? objects : objects.filter(({ kind }) => kind !== 'agent'),
      }));
      await researcher.start();
      await researcher.waitFor('state_not_restored');
      assert.equal((await researcher.status()).inOrder, true);
    });
  }
});
