import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { hostOf, httpGet, portOf } from '../support/admin-request.ts';
import { connectionOver } from '../support/connection-over.ts';
import { startMesh } from '../support/mesh.ts';

/** Whether anybody takes connections there. */
function listens(where: { path: string } | { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(where);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

const SLOW_DRAIN = { timing: { drain: '20s' } };

for (const stopped of ['planner', 'researcher'] as const) {
  const side = stopped === 'planner' ? 'calling' : 'called';
  test(`SIGTERM on the ${side} side: an open stream finishes, new calls are refused, exit 0`, async (t) => {
    const mesh = await startMesh(t, {
      agents: { planner: { calls: ['researcher'], config: SLOW_DRAIN }, researcher: { config: SLOW_DRAIN } },
    });
    const planner = mesh.agent('planner');
    const { sidecar, addresses } = mesh.agent(stopped);
    const stream = planner.connect('researcher');
    for (const part of ['one', 'two']) {
      stream.socket.write(part);
      assert.equal((await stream.read(3)).toString(), part);
    }

    sidecar.signal('SIGTERM');
    await sidecar.waitFor('sidecar_draining', ({ connections }) => connections === 1);
    assert.match(await httpGet({ address: addresses.metrics }, '/readyz'), /draining: this sidecar is shutting down/);
    assert.equal(await httpGet({ address: addresses.metrics }, '/livez'), 'ok\n', 'alive until the end');
    const { inbound } = addresses;
    assert.equal(await listens({ host: hostOf(inbound), port: portOf(inbound) }), false, 'no new peers');
    await assert.rejects(planner.call('researcher', 'too late'));
    assert.ok(!mesh.agent('researcher').app.received.includes('too late'));

    stream.socket.end('three');
    assert.equal((await stream.read(5)).toString(), 'three', 'what is open goes on');
    await connectionOver(stream.socket);
    assert.equal(await sidecar.exited, 0);
    assert.ok(sidecar.lines.some(({ event }) => event === 'sidecar_stopped'));
    assert.equal(existsSync(addresses.admin), false, 'no socket file is left');
    const other = mesh.agent(stopped === 'planner' ? 'researcher' : 'planner');
    assert.deepEqual(
      (await other.decisions()).map(({ rejection }) => rejection?.code).filter((code) => code?.endsWith('_DRIFT')),
      [],
    );
  });
}

test('SIGTERM with a stream that never ends: cut when the drain time is over, exit 0', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], config: { timing: { drain: '300ms' } } }, researcher: {} },
  });
  const planner = mesh.agent('planner');
  const stream = planner.connect('researcher');
  stream.socket.write('one');
  await stream.read(3);
  planner.sidecar.signal('SIGTERM');
  await connectionOver(stream.socket);
  stream.socket.destroy();
  assert.equal(await planner.sidecar.exited, 0);
  await mesh.agent('researcher').waitForVerdict({ code: 'PEER_ENDED' });
});

test('SIGTERM during the start: exit at once, nothing is left listening, no defect is reported', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { start: false } },
  });
  const planner = mesh.agent('planner');

  await t.test('while the authority is not there', async () => {
    await mesh.authority.process.kill();
    await planner.start({ awaitReady: false });
    await planner.waitFor('join_failed');
    const { sidecar } = planner;
    const startedAt = performance.now();
    sidecar.signal('SIGTERM');
    const code = await sidecar.exited;
    assert.ok(performance.now() - startedAt < 3_000);
    assert.equal(code, 0, sidecar.tail());
    assert.doesNotMatch(sidecar.tail(), /defect/);
    assert.equal(await listens({ path: planner.socketTo('researcher') }), false);
    await mesh.authority.start();
  });

  await t.test('as early as the first line of the log', async () => {
    await planner.start({ awaitReady: false });
    await planner.waitFor(['agent_user_unknown', 'joined', 'sidecar_listening']);
    planner.sidecar.signal('SIGTERM');
    assert.equal(await planner.sidecar.exited, 0, planner.sidecar.tail());
    assert.doesNotMatch(planner.sidecar.tail(), /defect/);
  });

  await t.test('afterwards it starts as ever', async () => {
    await planner.start();
    assert.equal((await planner.status()).ready, true);
  });
});

test('SIGTERM on the authority: it exits 0, and sessions go on without it', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const planner = mesh.agent('planner');
  const stream = planner.connect('researcher');
  stream.socket.write('one');
  await stream.read(3);
  assert.equal(await mesh.authority.process.stop(), 0);
  await planner.waitFor('state_watch_broken');
  stream.socket.write('two');
  assert.equal((await stream.read(3)).toString(), 'two');
  assert.equal(await planner.call('researcher', 'new'), 'new', 'new calls, too');
  assert.equal(existsSync(`${mesh.authority.stateDir}/admin.sock`), false);
});
