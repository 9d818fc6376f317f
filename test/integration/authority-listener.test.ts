import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import { test, type TestContext } from 'node:test';
import { connect, type ConnectionOptions } from 'node:tls';
import {
  openWatch,
  joinAs,
  openClients,
  startTestAuthority,
  type TestAuthority,
} from '../support/authority-harness.ts';
import { POLICY } from '../support/policy-files.ts';

async function setUp(t: TestContext): Promise<TestAuthority & { port: number }> {
  const mesh = await startTestAuthority({ files: POLICY });
  t.after(() => mesh.close());
  return { ...mesh, port: Number(mesh.authority.address.split(':')[1]) };
}

/** Resolves with what a TLS client was allowed to do: `open` (still after a moment) or `closed`. */
function outcomeOf(port: number, options: ConnectionOptions, holdMs = 200): Promise<'open' | 'closed'> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
    const timer = setTimeout(() => {
      socket.destroy();
      resolve('open');
    }, holdMs);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve('closed');
    });
    socket.resume();
  });
}

test('only TLS 1.3 with exactly h2 stays open', async (t) => {
  const { port } = await setUp(t);
  assert.equal(await outcomeOf(port, { ALPNProtocols: ['h2'] }), 'open');
  assert.equal(await outcomeOf(port, {}), 'closed', 'no ALPN at all');
  assert.equal(await outcomeOf(port, { ALPNProtocols: ['http/1.1'] }), 'closed', 'another protocol');
  assert.equal(await outcomeOf(port, { ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' }), 'closed', 'TLS 1.2');
});

test('no session is ever resumed: a client that tries makes a full handshake', async (t) => {
  const { port } = await setUp(t);
  const options = { host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
  const first = connect(options);
  // OpenSSL sends session ids in TLS 1.3 even without tickets; what counts is that none is ever taken.
  const session = await new Promise<Buffer>((resolve) => first.once('session', resolve));
  first.destroy();
  const second = connect({ ...options, session });
  second.on('error', () => undefined);
  await new Promise((resolve) => second.once('secureConnect', resolve));
  assert.equal(second.isSessionReused(), false);
  second.destroy();
});

test('garbage and silence end, and members are served all the while', async (t) => {
  const { port, authority } = await setUp(t);
  const garbage = connectTcp({ host: '127.0.0.1', port });
  garbage.on('error', () => undefined);
  garbage.write('GET / HTTP/1.1\r\n\r\n');
  const garbageEnded = new Promise((resolve) => garbage.once('close', resolve));
  const silent = connectTcp({ host: '127.0.0.1', port });
  silent.on('error', () => undefined);
  const since = performance.now();
  const silentEnded = new Promise((resolve) => silent.once('close', resolve));
  silent.resume();
  const member = await joinAs(authority, 'planner');
  await openWatch(member.clients).next();
  member.clients.close();
  garbage.resume();
  await Promise.all([garbageEnded, silentEnded]);
  assert.ok(performance.now() - since < 4_500, 'the handshake timeout is 3 s');
});

test('a stream that its reader abandons is forgotten', async (t) => {
  const { authority } = await setUp(t);
  const member = await joinAs(authority, 'planner');
  const watch = openWatch(member.clients);
  await watch.next();
  watch.stream.cancel();
  member.clients.close();
  const metrics = async () => (await fetch(`http://${authority.metricsAddress}/metrics`)).text();
  for (let attempt = 0; attempt < 100 && !/^ait_watchers 0$/m.test(await metrics()); attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.match(await metrics(), /^ait_watchers 0$/m);
  (await openClients(authority)).close();
});
