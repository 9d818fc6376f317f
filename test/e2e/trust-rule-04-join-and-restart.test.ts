import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { joinCredentialToText, parseJoinCredential } from '../../src/domain/join-credential.ts';
import { createCsr } from '../../src/crypto/csr.ts';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { IdentityClient } from '../../src/wire/services.ts';
import { authorityChannel, joinAs } from '../support/attacker.ts';
import { awaitAddress, startMesh, type TestMesh } from '../support/mesh.ts';
import type { TestAgent } from '../support/test-agent.ts';

/** Starts the sidecar with this join credential, and awaits its end. */
async function startWith(agent: TestAgent, credential: string): Promise<{ code: number | null; log: string }> {
  await writeFile(join(agent.folder, 'credential'), credential, { mode: 0o600 });
  await agent.start({ awaitReady: false });
  return { code: await agent.sidecar.exited, log: agent.sidecar.tail() };
}

async function spend(mesh: TestMesh, agent: string): Promise<string> {
  const credential = await mesh.authority.credential(agent, { uses: 1 });
  const first = mesh.agent(agent);
  await writeFile(join(first.folder, 'credential'), credential, { mode: 0o600 });
  await first.start();
  await first.sidecar.kill();
  return credential;
}

test('trust rule 4: a join credential lets in whom it names, as often and as long as it says', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { start: false } },
  });
  const planner = mesh.agent('planner');

  await t.test('a secret with one bit changed: refused for good', async () => {
    const genuine = parseJoinCredential(await mesh.authority.credential('planner'));
    const secret = Uint8Array.from(genuine.secret, (byte, index) => (index === 31 ? byte ^ 1 : byte));
    const { code, log } = await startWith(planner, joinCredentialToText({ ...genuine, secret }));
    assert.notEqual(code, 0);
    assert.match(log, /JOIN_CREDENTIAL_UNKNOWN/);
  });

  await t.test('used up: refused for good', async () => {
    const { code, log } = await startWith(planner, await spend(mesh, 'planner'));
    assert.notEqual(code, 0);
    assert.match(log, /JOIN_CREDENTIAL_USED_UP/);
  });

  await t.test('expired: refused for good, with both times', async () => {
    const { code, log } = await startWith(planner, await mesh.authority.credential('planner', { expires: '1ms' }));
    assert.notEqual(code, 0);
    assert.match(log, /JOIN_CREDENTIAL_EXPIRED.*ended at \S+Z, it is \S+Z/);
  });

  await t.test('readable to others: it works, and is warned of loudly', async () => {
    const path = join(planner.folder, 'credential');
    await writeFile(path, await mesh.authority.credential('planner'));
    await chmod(path, 0o644);
    await planner.start();
    const { level } = await planner.waitFor('join_credential_exposed');
    assert.equal(level, 'warn');
  });
});

test('trust rule 4: a sidecar that is killed with -9 rejoins unattended, and calls go on', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  assert.equal(await planner.call('researcher', 'before'), 'before');
  const { instance } = await researcher.status();
  const from = planner.sidecar.mark();
  await researcher.sidecar.kill();
  const lost = await planner.waitForVerdict({}, { from });
  assert.equal(lost['code'], 'PEER_LOST', 'a process that is gone is no drift');
  await researcher.start();
  assert.notEqual((await researcher.status()).instance, instance, 'another process is another instance');
  await awaitAddress(planner, researcher.inbound);
  assert.equal(await planner.call('researcher', 'after'), 'after');
  assert.equal(await planner.metric('ait_drift_total'), 0);
});

test('trust rule 4: two renewals from one parent certificate are refused and raise an alarm', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: [], start: false } } });
  const { membership } = await joinAs(mesh, 'planner', mesh.agent('planner').measurement);
  const channel = authorityChannel(mesh, membership);
  const renew = (keyPair = generateKeyPair()) =>
    channel.ask((done) => channel.client(IdentityClient).RenewSvid({ csrDer: createCsr({ keyPair }) }, done));
  const kept = generateKeyPair();
  await renew(kept);
  await renew(kept);
  await assert.rejects(renew(), { reason: 'RENEWAL_FORKED' });
  const { level, instance } = await mesh.authority.process.waitFor('renewal_forked');
  assert.equal(level, 'error');
  assert.equal(instance, membership.instanceId);
  channel.close();
});
