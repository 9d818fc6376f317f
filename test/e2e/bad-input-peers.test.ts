import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { httpGet, hostOf, portOf } from '../support/admin-request.ts';
import { Attacker } from '../support/attacker.ts';
import { connectionOver } from '../support/connection-over.ts';
import { HostileAcceptor } from '../support/hostile-acceptor.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

const TIMING = { handshake_timeout: '400ms', exchange_timeout: '600ms' };
/** The first bytes of a TLS record that announces more than ever comes. */
const HALF_HELLO = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);

function stranger(t: TestContext, address: string): Socket {
  const socket = connect({ host: hostOf(address), port: portOf(address) });
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  return socket;
}

/** One byte every so often, for as long as anybody listens. */
function drip(socket: Socket, bytes: Buffer): void {
  let sent = 0;
  const timer = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), 50);
  socket.once('close', () => clearInterval(timer));
}

/** What somebody who is no peer may do right after TCP. */
const STRANGERS = [
  {
    what: 'garbage',
    act: (socket: Socket) => socket.write('\0\r\n\x80 nonsense'.repeat(20)),
    code: 'TLS_HANDSHAKE_FAILED',
  },
  {
    what: 'plain HTTP',
    act: (socket: Socket) => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
    code: 'TLS_HANDSHAKE_FAILED',
  },
  {
    what: 'HTTP/2 without TLS',
    act: (socket: Socket) => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    code: 'TLS_HANDSHAKE_FAILED',
  },
  { what: 'nothing', act: () => undefined, code: 'TLS_HANDSHAKE_TIMEOUT' },
  { what: 'a ClientHello by drops', act: (socket: Socket) => drip(socket, HALF_HELLO), code: 'TLS_HANDSHAKE_TIMEOUT' },
] as const;

/** The same, for those who do not wait for an answer. */
const HANG_UPS = [
  { what: 'nothing, and it hangs up', act: (socket: Socket) => socket.end(), code: 'TLS_HANDSHAKE_FAILED' },
  {
    what: 'half a ClientHello, and it hangs up',
    act: (socket: Socket) => socket.end(HALF_HELLO),
    code: 'TLS_HANDSHAKE_FAILED',
  },
] as const;

test('a caller that speaks garbage, nothing or too slowly is ended, named and counted; the others notice nothing', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: { config: { timing: TIMING } } },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const attacker = await Attacker.of(t, mesh);
  const open = planner.connect('researcher');
  const refusals = (reason: string) =>
    researcher.metric('ait_connections_refused_total', { direction: 'inbound', reason });
  const goesOn = async () => {
    open.socket.write('.');
    await open.read(1);
    assert.equal(await planner.call('researcher', 'new'), 'new');
  };

  for (const { what, act, code } of [...STRANGERS, ...HANG_UPS]) {
    await t.test(`before TLS: ${what}: ${code}`, async (t) => {
      const [from, before] = [researcher.sidecar.mark(), await refusals(code)];
      const socket = stranger(t, researcher.inbound);
      act(socket);
      const verdict = await researcher.waitForVerdict({ code }, { from });
      assert.equal(verdict['subject'], '', 'nobody is named for it');
      assert.match(String(verdict['remoteAddress']), /^127\.0\.0\.1:\d+$/);
      await connectionOver(socket);
      assert.equal(await refusals(code), before + 1);
      await goesOn();
    });
  }

  for (const [protocol, code] of [
    ['h2', 'EXCHANGE_TIMEOUT'],
    ['ait-data/1', 'DATA_PREFACE_INVALID'],
  ] as const) {
    for (const [what, bytes] of [
      ['nothing', ''],
      ['garbage', '\0\x05nonsense\r\n\r\n'.repeat(4)],
    ] as const) {
      await t.test(`after TLS with a good certificate, ${protocol}: ${what}`, async () => {
        const identity = attacker.member('planner');
        const from = researcher.sidecar.mark();
        const socket = await attacker.tls(researcher.inbound, { identity, ALPNProtocols: [protocol] });
        if (bytes !== '') socket.write(bytes);
        await connectionOver(socket);
        if (protocol === 'h2' && bytes !== '') {
          // No HTTP/2, no call, no exchange: there is nothing to refuse but the bytes, and HTTP/2 itself does.
          await pollUntil(
            () => researcher.metric('ait_unauthenticated_connections'),
            (count) => count === 0,
          );
        } else {
          const { subject } = await researcher.waitForVerdict({ code }, { from });
          assert.equal(subject, identity.spiffeId, 'whose certificate it was is known');
        }
        await goesOn();
      });
    }
  }

  await t.test('all that was refused left nothing behind', async () => {
    await pollUntil(
      () => researcher.metric('ait_unauthenticated_connections'),
      (count) => count === 0,
    );
    assert.equal((await researcher.sessions()).length, 1);
    assert.equal(researcher.app.received.includes('nonsense'), false);
    open.socket.destroy();
  });
});

test('a called peer that speaks garbage, nothing or is not there: the call ends at once, with its own code', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: [], start: false }, researcher: { start: false } } });
  const identity = (await Attacker.of(t, mesh)).member('researcher');
  for (const { name, onRaw, code } of [
    {
      name: 'garbage',
      onRaw: (socket: Socket) => void socket.write('nonsense '.repeat(50)),
      code: 'TLS_HANDSHAKE_FAILED',
    },
    { name: 'nothing', onRaw: () => undefined, code: 'TLS_HANDSHAKE_TIMEOUT' },
    { name: 'slowly', onRaw: (socket: Socket) => drip(socket, HALF_HELLO), code: 'TLS_HANDSHAKE_TIMEOUT' },
    { name: 'hang-up', onRaw: (socket: Socket) => void socket.destroy(), code: 'TLS_HANDSHAKE_FAILED' },
  ]) {
    await t.test(`${name}: ${code}`, async (t) => {
      const fake = await new HostileAcceptor({ identity: () => identity, onRaw }).start(t);
      const files = await mesh.register(`caller-${name}`, { calls: ['researcher'] });
      const spec = { calls: ['researcher'], addresses: { researcher: fake.address }, config: { timing: TIMING } };
      const caller = await mesh.addInstance(`caller-${name}`, { agent: `caller-${name}`, files, spec });
      await assert.rejects(caller.call('researcher', 'secret'));
      const { subject, detail, action } = await caller.waitForVerdict({ code });
      assert.equal(subject, 'spiffe://acme.example/agent/researcher');
      assert.match(String(detail), /\w/);
      assert.match(String(action), /\w/);
      const counted = await caller.metric('ait_exchanges_total', { direction: 'outbound', result: code });
      assert.equal(
        counted + (await caller.metric('ait_connections_refused_total', { direction: 'outbound', reason: code })) > 0,
        true,
      );
      await caller.sidecar.kill();
    });
  }
});

test("the authority's port: whoever speaks no TLS is hung up on and counted, and sidecars join meanwhile", async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const { process, address } = mesh.authority;
  const { metrics_listen: metrics } = await process.waitFor('authority_ready');
  const refusals = async () => {
    const text = await httpGet({ address: metrics as string }, '/metrics');
    return Number(/^ait_authority_connections_refused_total\{reason="tls"\} (\d+)/m.exec(text)?.[1] ?? 0);
  };
  const sockets = STRANGERS.map(({ act }) => {
    const socket = stranger(t, address);
    act(socket);
    return socket;
  });
  await mesh.agent('planner').start();
  await Promise.all(sockets.map((socket) => connectionOver(socket)));
  await pollUntil(refusals, (count) => count === STRANGERS.length);
  const reasons = process.lines.filter(({ event }) => event === 'tls_failed');
  assert.equal(reasons.length, STRANGERS.length);
  for (const { peer, reason } of reasons) assert.match(`${String(peer)} ${String(reason)}`, /^127\.0\.0\.1:\d+ \w/);
});
