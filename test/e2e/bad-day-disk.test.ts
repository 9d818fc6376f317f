import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { fillDiskOf } from '../support/full-disk.ts';
import { ask } from '../support/http-exchange.ts';
import { awaitAddress, startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

test("the authority's disk is full: changes are refused by name, nothing is half-applied, and what is in force goes on", async (t) => {
  const mesh = await startMesh(t, {
    authority: { outage_tolerance: '3s', policy_interval: '1s' },
    agents: { planner: { calls: ['researcher'] }, researcher: {}, late: { start: false } },
  });
  const { authority } = mesh;
  const [planner, late] = [mesh.agent('planner'), mesh.agent('late')];
  assert.equal(await planner.call('researcher', 'before'), 'before');
  const path = join(authority.stateDir, 'state.json');
  const [before, names] = [await readFile(path, 'utf8'), await readdir(authority.stateDir)];
  const from = authority.process.mark();
  const makeRoom = fillDiskOf(authority.process);

  await t.test('no join credential is made: 503 STATE_NOT_WRITTEN', async () => {
    const socketPath = join(authority.stateDir, 'admin.sock');
    const question = { method: 'POST', path: '/join-credentials', body: '{"agent":"late"}' };
    const { status, text } = await ask({ socketPath }, question);
    assert.equal(status, 503, text);
    assert.equal((JSON.parse(text) as { code: string }).code, 'STATE_NOT_WRITTEN');
  });

  await t.test('a change of the policy does not come into force, and is said not to', async () => {
    await authority.writePolicy('revocations/r-1', {
      kind: 'Revocation',
      id: 'r-1',
      agent: 'planner',
      reason: 'a test',
    });
    const { error } = await authority.process.waitFor('policy_unreadable', () => true, { from });
    assert.equal((error as { code: string }).code, 'STATE_NOT_WRITTEN');
    await authority.removePolicy('revocations/r-1');
  });

  await t.test('sidecars go on beyond the outage tolerance: what is in force is renewed', async () => {
    const kept = await planner.metric('ait_bundle_last_success_timestamp_seconds');
    const newer = () => planner.metric('ait_bundle_last_success_timestamp_seconds');
    await pollUntil(newer, (seconds) => seconds > kept + 3, { deadlineMs: 20_000, everyMs: 100 });
    assert.equal(await planner.call('researcher', 'still'), 'still');
    assert.equal((await planner.status()).inOrder, true);
  });

  await t.test('nobody joins: STATE_NOT_WRITTEN, and the sidecar waits', async () => {
    await late.start({ awaitReady: false });
    const { reason, detail } = await late.waitFor('join_failed');
    assert.equal(reason, 'STATE_NOT_WRITTEN');
    assert.match(String(detail), /cannot write its state/);
  });

  await t.test('nothing of it is on disk', async () => {
    assert.equal(await readFile(path, 'utf8'), before);
    assert.deepEqual(await readdir(authority.stateDir), names);
  });

  await t.test('with room again everything is made up for, without a restart', async () => {
    makeRoom();
    await late.waitFor('sidecar_ready', () => true, { deadlineMs: 30_000 });
    await mesh.nudge(planner);
    assert.equal(await planner.call('researcher', 'after'), 'after');
  });
});

test("a sidecar's disk is full: it goes on with what it has in memory, says what that costs, and makes up for it", async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const planner = mesh.agent('planner');
  const kept = join(planner.folder, 'state', 'mesh-state.json');
  await pollUntil(
    () => planner.metric('ait_bundle_kept'),
    (value) => value === 1,
  );
  const before = await readFile(kept, 'utf8');

  const makeRoom = fillDiskOf(planner.sidecar);
  const from = planner.sidecar.mark();
  await mesh.nudge(planner);
  const { level, action } = await planner.waitFor('state_not_kept', () => true, { from });
  assert.equal(level, 'error');
  assert.match(String(action), /a restart could not refuse an older state/);
  assert.equal(await planner.metric('ait_bundle_kept'), 0);
  assert.equal(await readFile(kept, 'utf8'), before, 'the last good one is left alone');
  assert.deepEqual(
    (await readdir(join(planner.folder, 'state'))).filter((name) => name.endsWith('.tmp')),
    [],
  );
  assert.equal((await planner.status()).ready, true, 'it can do all that it is for');
  assert.equal(await planner.call('researcher', 'still'), 'still');

  makeRoom();
  await mesh.nudge(planner);
  await pollUntil(
    () => planner.metric('ait_bundle_kept'),
    (value) => value === 1,
  );
  assert.notEqual(await readFile(kept, 'utf8'), before);
});

const DAMAGES: Readonly<Record<string, (text: string) => string>> = {
  'cut in half': (text) => text.slice(0, text.length / 2),
  empty: () => '',
  'no text at all': () => '\u0000'.repeat(4096),
  'one letter of the head changed': (text) => text.replace(/"head":"(.{200})./, '"head":"$1-'),
  'another JSON': () => '{"head":7,"objects":null}',
};

test('a kept state that is damaged: the sidecar says so, asks the authority for everything, and works', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const planner = mesh.agent('planner');
  const kept = join(planner.folder, 'state', 'mesh-state.json');
  await planner.sidecar.stop();
  const whole = await readFile(kept, 'utf8');
  for (const [what, damage] of Object.entries(DAMAGES)) {
    await t.test(what, async () => {
      await writeFile(kept, damage(whole));
      await planner.start();
      const { level, action } = await planner.waitFor('state_not_restored');
      assert.equal(level, 'warn');
      assert.match(String(action), /asked for everything/);
      await awaitAddress(planner, mesh.agent('researcher').inbound);
      assert.equal(await planner.call('researcher', 'hello'), 'hello');
      await planner.sidecar.kill();
    });
  }
});

test('a state of the authority that is damaged: it starts not, says how to go on, and touches nothing', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: {} } });
  const { authority } = mesh;
  await authority.process.kill();
  const path = join(authority.stateDir, 'state.json');
  const whole = await readFile(path, 'utf8');
  const damages = { ...DAMAGES, 'one letter of the head changed': (text: string) => text.replace('active', 'Active') };
  for (const [what, damage] of Object.entries(damages)) {
    await t.test(what, async () => {
      await writeFile(path, damage(whole));
      await assert.rejects(authority.start());
      assert.equal(await authority.process.exited, 1);
      assert.match(authority.process.tail(), /STATE_FILE_CORRUPT: [^]*try: restore the file from a backup/);
      assert.equal(await readFile(path, 'utf8'), damage(whole));
    });
  }
  await writeFile(path, whole);
  await authority.start();
  assert.match(await httpGet({ socketPath: join(authority.stateDir, 'admin.sock') }, '/status'), /"ready":true/);
});
