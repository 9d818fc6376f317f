import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseJoinCredential } from '../../src/domain/join-credential.ts';
import { keyPhase, rotateKey, shownKeys, Traffic } from '../support/key-phases.ts';
import { awaitAddress, startMesh } from '../support/mesh.ts';
import { runAit } from '../support/run-ait.ts';

const AGENTS = { planner: { calls: ['researcher'] }, researcher: {} } as const;

// They mostly wait for phases to pass.
describe('keys are replaced under traffic', { concurrency: true }, () => {
  test('the AIT key and the state key: a call that is open goes on through every phase, and no new one fails', async (t) => {
    const mesh = await startMesh(t, {
      agents: AGENTS,
      authority: { outage_tolerance: '3s', svid_lifetime: '10m' },
    });
    const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
    const held = planner.connect('researcher');
    held.socket.write('held');
    await held.read(4);
    const before = await mesh.authority.keys();
    const traffic = new Traffic(planner, 'researcher');

    const admin = join(mesh.authority.stateDir, 'admin.sock');
    for (const kind of ['ait', 'state'] as const) {
      const asked = await runAit(['certs', 'rotate', kind, '--admin', admin]);
      assert.equal(asked.code, 0, asked.output);
      assert.match(asked.output, new RegExp(`${kind} +published`));
      const again = await runAit(['certs', 'rotate', kind, '--admin', admin]);
      assert.equal(again.code, 4, again.output);
      assert.match(again.output, /ROTATION_UNDER_WAY/);
    }
    await Promise.all([keyPhase(mesh, 'ait', 'active'), keyPhase(mesh, 'state', 'active')]);
    const after = await mesh.authority.keys();
    assert.notEqual(after.ait_key, before.ait_key);
    assert.notEqual(after.state_key, before.state_key);
    // What is signed by the new state key is taken, and a sidecar that starts now is as good as the others.
    await mesh.nudge(planner);
    await keyPhase(mesh, 'state', 'gone');
    await mesh.nudge(researcher);
    await keyPhase(mesh, 'ait', 'gone');
    await mesh.nudge(planner);

    assert.deepEqual((await shownKeys(mesh)).map(({ kind, phase }) => `${kind} ${phase}`).toSorted(), [
      'ait active',
      'root active',
      'state active',
    ]);
    await traffic.stop();
    assert.ok(traffic.calls > 100, `${traffic.calls} calls`);
    held.socket.write('still');
    assert.equal((await held.read(5)).toString(), 'still');
    for (const agent of [planner, researcher]) {
      assert.equal(await agent.metric('ait_sessions_terminated_total'), 0, agent.name);
      assert.equal(await agent.metric('ait_bundle_refused_total'), 0, agent.name);
    }
    held.socket.destroy();
  });

  test('the root: sidecars with the credential of before restart and join in every phase', async (t) => {
    const mesh = await startMesh(t, {
      agents: AGENTS,
      authority: { outage_tolerance: '4s', svid_lifetime: '16s' },
    });
    const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
    const old = parseJoinCredential(await mesh.authority.credential('planner'));
    const restart = async () => {
      for (const agent of [researcher, planner]) {
        await agent.sidecar.stop();
        await agent.start();
      }
      await awaitAddress(planner, researcher.inbound);
      assert.equal(await planner.call('researcher', 'hello'), 'hello');
    };
    await rotateKey(mesh, 'root');
    await restart();
    const fresh = parseJoinCredential(await mesh.authority.credential('planner'));
    assert.notEqual(fresh.rootSha256, old.rootSha256, 'a new credential names the root that will be there longest');
    await keyPhase(mesh, 'root', 'active');
    await restart();
    await keyPhase(mesh, 'root', 'retiring');
    // No certificate by the old root is left by now: everybody has renewed, and nothing was noticed.
    await keyPhase(mesh, 'root', 'gone');
    assert.equal(await planner.call('researcher', 'hello'), 'hello');
    const pins = (await shownKeys(mesh)).filter(({ kind }) => kind === 'root').map(({ id }) => id);
    assert.deepEqual(pins, [fresh.rootSha256]);
    // The credential names a root that is gone; the kept state names the one that has come.
    await restart();

    await planner.sidecar.stop();
    await rm(join(planner.folder, 'state'), { recursive: true });
    await planner.start({ awaitReady: false });
    assert.notEqual(await planner.sidecar.exited, 0);
    assert.match(planner.sidecar.tail(), /AUTHORITY_ROOT_MISMATCH.*was replaced since/);
    assert.match(planner.sidecar.tail(), /ait agent credential/);
  });
});
