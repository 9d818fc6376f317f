import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startMesh } from '../support/mesh.ts';
import type { TestAgent } from '../support/test-agent.ts';

/** Replaces the file as a careful editor does. */
async function writeConfig(agent: TestAgent, config: object): Promise<void> {
  const path = join(agent.folder, 'sidecar.yaml');
  await writeFile(`${path}.new`, JSON.stringify(config));
  await rename(`${path}.new`, path);
}

interface Shown {
  readonly log_level: string;
  readonly socket_mode: string;
  readonly timing: Readonly<Record<string, number>>;
  readonly inbound: { readonly listen: string };
}

async function inForce(agent: TestAgent): Promise<Shown> {
  return JSON.parse(await agent.admin('/config')) as Shown;
}

test('a changed file counts at once: peers come and go, time limits and log level change, calls go on', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher', 'writer'] }, researcher: {}, writer: {} },
  });
  const planner = mesh.agent('planner');
  const open = planner.connect('researcher');
  open.socket.write('one');
  await open.read(3);
  const before = planner.config;
  const [researcher] = before['peers'] as [object];

  // Away with the writer; shorter times; a level that says more.
  const from = planner.sidecar.mark();
  await writeConfig(planner, {
    ...before,
    peers: [researcher],
    timing: { drain: '1m', heartbeat: '300ms' },
    log_level: 'debug',
  });
  const applied = await planner.waitFor('config_applied', () => true, { from });
  assert.deepEqual((applied['changed'] as string[]).toSorted(), [
    'log_level',
    'peers',
    'timing.drain',
    'timing.heartbeat',
  ]);
  assert.deepEqual(applied['needsRestart'], []);
  assert.equal((await inForce(planner)).log_level, 'debug');
  assert.deepEqual((await inForce(planner)).timing['heartbeat'], 300);
  await assert.rejects(planner.call('writer'));
  assert.equal(existsSync(planner.socketTo('writer')), false, 'nobody listens for the writer any more');
  open.socket.write('two');
  assert.equal((await open.read(3)).toString(), 'two', 'a peer that stays loses nothing');
  assert.equal((await planner.sessions()).length, 1);

  // And back.
  const again = planner.sidecar.mark();
  await writeConfig(planner, before);
  await planner.waitFor('config_applied', () => true, { from: again });
  assert.equal(await planner.call('writer', 'back'), 'back');
  assert.equal(await planner.metric('ait_config_reloads_total', { result: 'applied' }), 2);
  open.socket.destroy();
});

test('a file with problems: all are told, nothing of it counts, and the next good one does', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const planner = mesh.agent('planner');
  const before = planner.config;
  const known = await inForce(planner);

  await writeConfig(planner, { ...before, log_level: 'debug', timing: { drain: 'soon' }, peer: [] });
  const refused = await planner.waitFor('config_refused');
  const problems = (refused['problems'] as string[]).join('\n');
  assert.match(problems, /timing\.drain: /);
  assert.match(problems, /peer: is not a setting/);
  assert.deepEqual(await inForce(planner), known, 'not even what was right in it');
  const status = JSON.parse(await planner.admin('/status')) as { config: { problems: string[] } };
  assert.equal(status.config.problems.length, 2);
  assert.equal(await planner.metric('ait_config_problems'), 2);

  // Valid on its own, but its address is taken: no less a problem, and no more of it counts.
  const from = planner.sidecar.mark();
  const [peer] = before['peers'] as [object];
  const taken = { ...peer, listen: planner.addresses.inbound };
  await writeConfig(planner, { ...before, log_level: 'debug', peers: [taken] });
  const second = await planner.waitFor('config_refused', () => true, { from });
  assert.match(String(second['problems']), /in use/);
  assert.deepEqual(await inForce(planner), known);
  assert.equal(await planner.call('researcher'), 'ping');

  // A file that is gone, and is there again.
  const third = planner.sidecar.mark();
  const path = join(planner.folder, 'sidecar.yaml');
  await rename(path, `${path}.away`);
  await planner.waitFor('config_refused', () => true, { from: third });
  await writeConfig(planner, { ...before, log_level: 'debug' });
  await planner.waitFor('config_applied', () => true, { from: third });
  assert.equal(await planner.metric('ait_config_problems'), 0);
  assert.equal(await planner.call('researcher'), 'ping');
});

test('what cannot change in a running process is told, and the rest of the file counts', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: {} } });
  const planner = mesh.agent('planner');
  const before = planner.config;
  await writeConfig(planner, {
    ...before,
    inbound: { listen: '127.0.0.1:1' },
    socket_mode: '0600',
    timing: { drain: '3s', handshake_timeout: '1s' },
  });
  const told = await planner.waitFor('config_needs_restart');
  assert.deepEqual((told['settings'] as string[]).toSorted(), [
    'inbound.listen',
    'socket_mode',
    'timing.handshake_timeout',
  ]);
  const now = await inForce(planner);
  assert.deepEqual([now.timing['drain'], now.timing['handshake_timeout'], now.socket_mode], [3000, 3000, '0660']);
  assert.equal(now.inbound.listen, '127.0.0.1:0');
  assert.equal(await planner.metric('ait_config_restart_needed'), 3);
});

test('SIGHUP reads the file again, also where it is the same; before the start and after the end it does no harm', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: {} } });
  const planner = mesh.agent('planner');
  planner.sidecar.signal('SIGHUP');
  const applied = await planner.waitFor('config_applied');
  assert.deepEqual(applied['changed'], []);
  assert.equal(await planner.sidecar.stop(), 0);

  await mesh.authority.process.kill();
  await planner.start({ awaitReady: false });
  await planner.waitFor('join_failed');
  planner.sidecar.signal('SIGHUP');
  const from = planner.sidecar.mark();
  await planner.waitFor('join_failed', () => true, { from });
  assert.equal(planner.sidecar.running, true);
});

test('SIGHUP on the authority: the log level comes out of its file, a broken file changes nothing', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: {} } });
  const { process, folder } = mesh.authority;
  const file = join(folder, 'authority.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, `${text}log_level: debug\n`);
  process.signal('SIGHUP');
  await process.waitFor('config_applied', ({ log_level: level }) => level === 'debug');
  await writeFile(file, 'listen: [');
  process.signal('SIGHUP');
  await process.waitFor('config_refused');
  assert.equal(process.running, true);
  assert.equal((await mesh.agent('planner').status()).ready, true);
});
