import assert from 'node:assert/strict';
import type { ClientHttp2Session } from 'node:http2';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createCsr } from '../../src/crypto/csr.ts';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { portOf } from '../support/admin-request.ts';
import { Attacker, joinAs } from '../support/attacker.ts';
import { verdictOn } from '../support/attacks.ts';
import { dataOf, HostileData } from '../support/hostile-data.ts';
import { grpcFrame } from '../support/hostile-exchange.ts';
import { startMesh } from '../support/mesh.ts';
import { connectFrom, openFrom } from '../support/same-port.ts';
import { framePreface } from '../../src/sidecar/data/preface.ts';
import { dataOpenCodec, identityService } from '../../src/wire/services.ts';

/** Two addresses of one machine. */
const [HERE, THERE] = ['127.0.0.1', '127.0.0.2'] as const;

/** Asks for a certificate. @returns the gRPC status; 0: one was issued. */
function renewSvid(session: ClientHttp2Session): Promise<number> {
  const stream = session.request({
    ':method': 'POST',
    ':path': identityService.RenewSvid.path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const csrDer = createCsr({ keyPair: generateKeyPair() });
  stream.end(grpcFrame(identityService.RenewSvid.requestSerialize({ csrDer })));
  return new Promise((resolve, reject) => {
    const status = (headers: Readonly<Record<string, unknown>>) => {
      if (headers['grpc-status'] !== undefined) resolve(Number(headers['grpc-status']));
    };
    stream.on('response', status);
    stream.on('trailers', status);
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('the stream closed without a status')));
    stream.resume();
  });
}

/** A socket that was reset may be closed before anybody asks. */
const closed = (socket: TLSSocket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : socket.resume().once('close', () => resolve())));
const UNAUTHENTICATED = 16;

test('an authority with two addresses takes nobody for the member on the other one with the same remote port', async (t) => {
  const mesh = await startMesh(t, {
    authority: { listen: '0.0.0.0:0' },
    agents: { planner: { start: false } },
  });
  const attacker = await Attacker.of(t, mesh);
  const planner = mesh.agent('planner');
  const member = await joinAs(mesh, 'planner', planner.measurement);
  const port = portOf(mesh.authority.address);
  const address = (host: string) => `${host}:${port}`;

  await t.test('a stranger is there first: the member is turned away, the stranger stays a stranger', async (t) => {
    const raw = await connectFrom(t, { host: HERE, port });
    const stranger = attacker.http2(await attacker.tls(address(HERE), { socket: raw }));
    assert.equal(await renewSvid(stranger), UNAUTHENTICATED);
    const second = await connectFrom(t, { host: THERE, port, localPort: raw.localPort ?? 0 });
    await closed(await attacker.tls(address(THERE), { identity: member, socket: second }));
    assert.equal(await renewSvid(stranger), UNAUTHENTICATED, 'nothing of the member has come to the stranger');
  });

  await t.test('the member is there first: the stranger is turned away, the member goes on', async (t) => {
    const raw = await connectFrom(t, { host: THERE, port });
    const session = attacker.http2(await attacker.tls(address(THERE), { identity: member, socket: raw }));
    assert.equal(await renewSvid(session), 0);
    const second = await connectFrom(t, { host: HERE, port, localPort: raw.localPort ?? 0 });
    await closed(await attacker.tls(address(HERE), { socket: second }));
    // The certificate has been renewed: the same member, but with another key, is a fork, and no stranger.
    assert.equal(await renewSvid(session), 7);
  });

  await t.test('when the first is gone, the port is free again', async (t) => {
    const raw = await connectFrom(t, { host: HERE, port });
    const { localPort = 0 } = raw;
    const first = await attacker.tls(address(HERE), { socket: raw });
    const gone = closed(first);
    first.destroy();
    await gone;
    const again = await connectFrom(t, { host: THERE, port, localPort });
    const session = attacker.http2(await attacker.tls(address(THERE), { identity: member, socket: again }));
    assert.equal(await renewSvid(session), 7);
  });
});

test('a sidecar with two addresses resets what it admitted, though another connection has the same remote port', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], start: false },
      researcher: { config: { inbound: { listen: '0.0.0.0:0', advertise: '127.0.0.1:1' } } },
    },
  });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const identity = attacker.member('planner');
  const port = portOf(victim.inbound);
  const exchange = await attacker.admitted(`${HERE}:${port}`, identity);
  const { sessionId, instanceId } = dataOf(exchange);

  const raw = await connectFrom(t, { host: HERE, port });
  const socket = await attacker.tls(`${HERE}:${port}`, { identity, ALPNProtocols: ['ait-data/1'], socket: raw });
  const from = victim.sidecar.mark();
  // It may be reset before we know that it is there.
  const second = openFrom(t, { host: THERE, port, localPort: raw.localPort ?? 0 });
  const secondClosed = new Promise<void>((resolve) => second.resume().once('close', () => resolve()));
  const refusal = await victim.waitForVerdict({ code: 'TOO_MANY_UNAUTHENTICATED' }, { from });
  assert.match(String(refusal['detail']), /same remote port/);
  await secondClosed;

  const data = new HostileData(socket);
  const open = { sessionId: Buffer.from(sessionId, 'hex'), instanceId, correlationId: 'x' };
  socket.write(framePreface(dataOpenCodec.encode(open)));
  socket.write('hello');
  assert.equal(await data.answer(), 'accepted');
  assert.equal((await data.payload(5)).toString(), 'hello');

  const { measurement } = identity;
  exchange.heartbeat({ measurement: { ...measurement, model: { ...measurement.model, version: '666' } as never } });
  const verdict = await verdictOn(victim, exchange);
  assert.deepEqual([verdict['code'], verdict['connections']], ['MODEL_DRIFT', 1]);
  await data.closed;
  assert.equal(await victim.metric('ait_connections'), 0);
});
