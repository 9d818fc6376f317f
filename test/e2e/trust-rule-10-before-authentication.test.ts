import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { hostOf, portOf } from '../support/admin-request.ts';
import { Attacker, openExchangeStream } from '../support/attacker.ts';
import { assertAppUntouched, verdictOn } from '../support/attacks.ts';
import { grpcFrame } from '../support/hostile-exchange.ts';
import { startMesh } from '../support/mesh.ts';

const TIMING = { handshake_timeout: '300ms', exchange_timeout: '500ms', drain: '0s' };

function rawConnection(t: TestContext, address: string): Socket {
  const socket = connect({ host: hostOf(address), port: portOf(address) });
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  return socket;
}

/** A socket that was reset may be closed before anybody asks. */
const closed = (socket: Socket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : socket.resume().once('close', () => resolve())));

test('trust rule 10: whoever has proven nothing gets little time, little room and few sockets', async (t) => {
  const limits = { unauthenticated: 6, unauthenticated_per_address: 5, unauthenticated_per_svid: 2 };
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { config: { timing: TIMING, limits } } },
  });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const planner = attacker.member('planner');
  const nextRefusal = () => victim.waitForVerdict({}, { from: victim.sidecar.mark() });

  await t.test('nothing said: TLS_HANDSHAKE_TIMEOUT', async () => {
    const refusal = nextRefusal();
    const socket = rawConnection(t, victim.inbound);
    await closed(socket);
    assert.equal((await refusal)['code'], 'TLS_HANDSHAKE_TIMEOUT');
  });

  await t.test('half a ClientHello: TLS_HANDSHAKE_TIMEOUT', async () => {
    const refusal = nextRefusal();
    const socket = rawConnection(t, victim.inbound);
    socket.write(Buffer.from('1603010200010001fc0303', 'hex'));
    await closed(socket);
    assert.equal((await refusal)['code'], 'TLS_HANDSHAKE_TIMEOUT');
  });

  await t.test('garbage in place of TLS: TLS_HANDSHAKE_FAILED', async () => {
    const refusal = nextRefusal();
    const socket = rawConnection(t, victim.inbound);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await closed(socket);
    assert.equal((await refusal)['code'], 'TLS_HANDSHAKE_FAILED');
  });

  await t.test('TLS and then silence, on either protocol: EXCHANGE_TIMEOUT, DATA_PREFACE_INVALID', async () => {
    for (const [alpn, code] of [
      ['h2', 'EXCHANGE_TIMEOUT'],
      ['ait-data/1', 'DATA_PREFACE_INVALID'],
    ] as const) {
      const refusal = nextRefusal();
      const socket = await attacker.tls(victim.inbound, { identity: planner, ALPNProtocols: [alpn] });
      await closed(socket);
      assert.equal((await refusal)['code'], code);
    }
  });

  await t.test('an exchange that stops after the Hello: EXCHANGE_TIMEOUT', async () => {
    const exchange = await attacker.dial(victim.inbound, planner);
    exchange.hello();
    await exchange.expect('proof');
    assert.equal((await verdictOn(victim, exchange))['code'], 'EXCHANGE_TIMEOUT');
  });

  await t.test('more sockets under one SVID than allowed: TOO_MANY_UNAUTHENTICATED for the third', async () => {
    const refusal = nextRefusal();
    const sockets = await Promise.all([1, 2, 3].map(() => attacker.tls(victim.inbound, { identity: planner })));
    const verdict = await refusal;
    assert.equal(verdict['code'], 'TOO_MANY_UNAUTHENTICATED');
    assert.equal(verdict['subject'], 'spiffe://acme.example/agent/planner');
    await Promise.all(sockets.map(closed));
  });

  await t.test(
    'more silent sockets from one address than allowed: TOO_MANY_UNAUTHENTICATED, and room again afterwards',
    async () => {
      const from = victim.sidecar.mark();
      const refusal = nextRefusal();
      const sockets = [1, 2, 3, 4, 5, 6].map(() => rawConnection(t, victim.inbound));
      assert.equal((await refusal)['code'], 'TOO_MANY_UNAUTHENTICATED');
      await Promise.all(sockets.map(closed));
      const exchange = await attacker.admitted(victim.inbound, planner);
      exchange.destroy();
      await verdictOn(victim, exchange);
      const refused = victim.sidecar.lines.slice(from).filter(({ event }) => event === 'peer_refused');
      const codes = refused.map((line) => line['code']);
      const timeouts = Array.from({ length: 5 }, () => 'TLS_HANDSHAKE_TIMEOUT');
      assert.deepEqual(codes, ['TOO_MANY_UNAUTHENTICATED', ...timeouts], 'each socket is refused once');
    },
  );

  const misbehaviour: Record<string, [does: (exchange: Awaited<ReturnType<Attacker['dial']>>) => void, code: string]> =
    {
      'a first message other than Hello': [(exchange) => exchange.accept(), 'PROTOCOL_ERROR'],
      'an empty message': [(exchange) => exchange.sendRaw(grpcFrame(Buffer.alloc(0))), 'PROTOCOL_ERROR'],
      'no version in common': [(exchange) => exchange.hello({ versions: [2, 3] }), 'PROTOCOL_VERSION_UNSUPPORTED'],
      'no version': [(exchange) => exchange.hello({ versions: [] }), 'PROTOCOL_VERSION_UNSUPPORTED'],
      'a short nonce': [(exchange) => exchange.hello({ nonce: Buffer.alloc(31) }), 'PROTOCOL_ERROR'],
      'no nonce': [(exchange) => exchange.hello({ nonce: Buffer.alloc(0) }), 'PROTOCOL_ERROR'],
      'bytes that are no message': [
        (exchange) => exchange.sendRaw(grpcFrame(Buffer.from('ffffffffff', 'hex'))),
        'PEER_LOST',
      ],
      'a compressed frame': [
        (exchange) => exchange.sendRaw(grpcFrame(Buffer.alloc(10), { compressed: 1 })),
        'PROTOCOL_ERROR',
      ],
      'a length of 4 GiB': [
        (exchange) => exchange.sendRaw(grpcFrame(Buffer.alloc(10), { length: 0xffffffff })),
        'PEER_LOST',
      ],
      'a message over 64 KiB': [(exchange) => exchange.hello({ correlationId: 'x'.repeat(64 * 1024) }), 'PEER_LOST'],
      'a Hello and the end': [(exchange) => (exchange.hello(), exchange.stream.end()), 'PEER_LOST'],
      'everything before it is asked': [
        (exchange) => Array.from({ length: 40 }, () => exchange.hello()),
        'PROTOCOL_ERROR',
      ],
      'a Goodbye in the middle': [
        (exchange) => (
          exchange.hello(),
          exchange.send({ goodbye: { reason: 'WIRE_REASON_DRAINING', correlationId: 'x' } })
        ),
        'PEER_REFUSED',
      ],
    };
  for (const [name, [does, code]] of Object.entries(misbehaviour)) {
    await t.test(`${name}: ${code}`, async () => {
      const refusal = nextRefusal();
      const exchange = await attacker.dial(victim.inbound, planner);
      does(exchange);
      assert.equal((await refusal)['code'], code);
      await exchange.closed;
    });
  }

  await t.test('a second Exchange stream on one connection is refused, the first lives on', async () => {
    const socket = await attacker.tls(victim.inbound, { identity: planner });
    const session = attacker.http2(socket);
    const first = openExchangeStream(session);
    first.on('error', () => undefined);
    const second = openExchangeStream(session);
    const outcome = await new Promise((resolve) => {
      second.on('error', () => resolve('refused'));
      second.on('response', (headers) => resolve(headers['grpc-status']));
    });
    assert.ok(outcome === 'refused' || outcome === '9', `status ${String(outcome)}`);
    socket.destroy();
  });

  await t.test('more than two proofs a second, after a burst of ten: PROTOCOL_ERROR', async () => {
    const exchange = await attacker.admitted(victim.inbound, planner);
    for (let proof = 0; proof < 12; proof += 1) exchange.heartbeat();
    const verdict = await verdictOn(victim, exchange);
    assert.deepEqual([verdict.event, verdict['code']], ['session_terminated', 'PROTOCOL_ERROR']);
  });

  await t.test('a correlation id that would spoil a log line is not written down', async () => {
    const refusal = nextRefusal();
    const exchange = await attacker.dial(victim.inbound, planner);
    exchange.hello({ correlationId: 'a\n{"event":"forged"}', versions: [9] });
    assert.match(String((await refusal)['correlationId']), /^[A-Za-z0-9_-]{12}$/);
  });

  assertAppUntouched(victim);
  assert.deepEqual(
    (await victim.sessions()).filter(({ state }) => state === 'live'),
    [],
  );
});
