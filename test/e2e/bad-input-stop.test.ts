import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { hostOf, httpGet, portOf } from '../support/admin-request.ts';
import { connectionOver } from '../support/connection-over.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

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

/** An agent that answers a question when the test says so, and any other at once. */
async function slowAgent(t: TestContext) {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (chunk.toString() !== 'slow') socket.end(chunk);
      else void released.then(() => socket.end('done'));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, release };
}

for (const stopped of ['planner', 'researcher'] as const) {
  const side = stopped === 'planner' ? 'calling' : 'called';
  test(`SIGTERM on the ${side} side: what is under way finishes, no new peer gets in, exit 0`, async (t) => {
    const agent = await slowAgent(t);
    const mesh = await startMesh(t, {
      agents: {
        planner: { calls: ['researcher'], config: SLOW_DRAIN },
        researcher: { app: false, config: { ...SLOW_DRAIN, app: { address: agent.address } } },
      },
    });
    const planner = mesh.agent('planner');
    const { sidecar, addresses } = mesh.agent(stopped);
    const open = planner.connect('researcher');
    open.socket.write('slow');
    await pollUntil(
      () => planner.sessions(),
      ([session]) => session?.connections === 1,
    );

    sidecar.signal('SIGTERM');
    await sidecar.waitFor('sidecar_draining', ({ connections }) => connections === 1);
    for (const path of ['/readyz', '/readyz/mesh'])
      assert.match(await httpGet({ address: addresses.metrics }, path), /draining: this sidecar is shutting down/);
    assert.equal(await httpGet({ address: addresses.metrics }, '/livez'), 'ok\n', 'alive until the end');
    assert.equal(await planner.call('researcher', 'quick'), 'quick', 'whoever has nobody else is served for a moment');
    if (stopped === 'researcher') {
      await sidecar.waitFor('peer_denied', ({ code }) => code === 'PEER_DRAINING');
      await planner.waitFor('peer_draining');
    }
    // Longer than a connection with nothing under way would be left alone.
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.equal(sidecar.running, true);
    agent.release();
    assert.equal((await open.read(4)).toString(), 'done', 'what is under way goes on');
    open.socket.end();
    await connectionOver(open.socket);
    assert.equal(await sidecar.exited, 0);
    assert.ok(sidecar.lines.some(({ event }) => event === 'sidecar_stopped'));
    assert.equal(existsSync(addresses.admin), false, 'no socket file is left');
    const { inbound } = addresses;
    assert.equal(await listens({ host: hostOf(inbound), port: portOf(inbound) }), false);
    const other = mesh.agent(stopped === 'planner' ? 'researcher' : 'planner');
    assert.deepEqual(
      (await other.decisions()).map(({ rejection }) => rejection?.code).filter((code) => code?.endsWith('_DRIFT')),
      [],
    );
  });
}

test('SIGTERM with a connection on which nothing is under way: it is closed in good order, long before the time is over', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: { config: { timing: { drain: '10m' } } } },
  });
  const open = mesh.agent('planner').connect('researcher');
  open.socket.write('one');
  await open.read(3);
  let error: Error | undefined;
  open.socket.on('error', (cause) => (error = cause));
  const { sidecar } = mesh.agent('researcher');
  sidecar.signal('SIGTERM');
  await once(open.socket, 'end');
  assert.equal(error, undefined);
  assert.equal(await sidecar.exited, 0);
  assert.equal(sidecar.lines.find(({ event }) => event === 'sidecar_drained')?.['connectionsReset'], 0);
});

test('SIGTERM with a stream that never ends: cut when the drain time is over, exit 0', async (t) => {
  const agent = await slowAgent(t);
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], config: { timing: { drain: '300ms' } } },
      researcher: { app: false, config: { app: { address: agent.address } } },
    },
  });
  const planner = mesh.agent('planner');
  const stream = planner.connect('researcher');
  stream.socket.write('slow');
  await pollUntil(
    () => planner.sessions(),
    ([session]) => session?.connections === 1,
  );
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
