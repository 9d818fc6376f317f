import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { parseStrictJson } from '../../../../src/domain/canonical/strict-json.ts';
import { agentId } from '../../../../src/domain/agent-id.ts';
import type { JoinCredential } from '../../../../src/domain/join-credential.ts';
import { parseMeasurement } from '../../../../src/domain/measurement-json.ts';
import { systemClock } from '../../../../src/platform/clock.ts';
import { createRegistry } from '../../../../src/platform/metrics-registry.ts';
import { systemRandom } from '../../../../src/platform/random.ts';
import { enrollWithCredential } from '../../../../src/membership/enrollment.ts';
import { joinMesh } from '../../../../src/membership/join.ts';
import { InstanceIdentity } from '../../../../src/sidecar/identity/instance-identity.ts';
import { TrustStore } from '../../../../src/membership/trust-store.ts';
import { createSidecarMetrics } from '../../../../src/sidecar/sidecar-metrics.ts';
import { hostOf, portOf } from '../../../support/admin-request.ts';
import { createLogBook, startTestAuthority, TRUST_DOMAIN } from '../../../support/authority-harness.ts';
import { MEASUREMENT, POLICY } from '../../../support/policy-files.ts';
import { pollUntil } from '../../../support/poll-until.ts';

const HANDSHAKE_TIMEOUT_MS = 3_000;
const HALF_AN_HOUR_AND_MORE_MS = 40 * 60_000;

/** The way to a server, on which answers can be lost, and which new connections may not take. */
async function lossyPath(t: TestContext, target: string) {
  const sockets = new Set<Socket>();
  const path = {
    address: '',
    losesAnswers: false,
    takesNew: true,
    cut: () => sockets.forEach((socket) => socket.destroy()),
  };
  const server = createServer((client) => {
    if (!path.takesNew) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: hostOf(target), port: portOf(target) });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => other.destroy());
    }
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      if (!path.losesAnswers) client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    path.cut();
    server.close();
  });
  path.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return path;
}

/** An identity of an hour, on a clock that a test can put forward, that reaches its authority on a lossy path. */
async function startIdentity(t: TestContext) {
  const mesh = await startTestAuthority({ files: POLICY, config: { svid_lifetime: '1h' } });
  t.after(() => mesh.close());
  const { authority } = mesh;
  const path = await lossyPath(t, authority.address);
  const agent = agentId(TRUST_DOMAIN, 'planner');
  const issued = await authority.credentials.create({ agent, uses: 1, lifetimeMs: 60_000 });
  const credential: JoinCredential = {
    trustDomain: TRUST_DOMAIN,
    subject: agent,
    id: issued.id,
    secret: issued.secret,
    rootSha256: authority.rootSha256,
    authority: path.address,
    expiresAt: Date.now() + 60_000,
  };
  const shift = { monotonicMs: 0, wallMs: 0 };
  const clock = {
    now: () => systemClock.now() + shift.wallMs,
    monotonic: () => systemClock.monotonic() + shift.monotonicMs,
  };
  const membership = await joinMesh({
    enrollment: enrollWithCredential(credential),
    address: path.address,
    clock,
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
  });
  const trust = new TrustStore();
  trust.replace([membership.bundle]);
  const { logger, lines } = createLogBook();
  const count = { rotations: 0, tokens: 0 };
  const identity = new InstanceIdentity(membership, {
    clock,
    random: systemRandom,
    logger,
    metrics: createSidecarMetrics(createRegistry({ clock })),
    trust,
    authorityAddress: path.address,
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
    dataAddress: () => '127.0.0.1:1',
    inUse: () => false,
    rejoin: () => assert.fail('there is no need to join again'),
    onRotated: () => (count.rotations += 1),
    onToken: () => (count.tokens += 1),
    ownRejection: () => undefined,
  });
  t.after(() => identity.stop());
  return { mesh, path, identity, shift, count, lines };
}

const has = (book: readonly Record<string, unknown>[], event: string) => book.some((line) => line['event'] === event);

/** A first token, so that the connection that the renewal will use stands. */
async function firstToken({ identity, count }: Awaited<ReturnType<typeof startIdentity>>): Promise<void> {
  identity.measured(parseMeasurement(parseStrictJson(JSON.stringify(MEASUREMENT))));
  await pollUntil(
    () => count.tokens,
    (tokens) => tokens === 1,
  );
}

/** The authority renews the certificate, and from then on cannot be reached: no token for it. */
async function renewWithoutToken(started: Awaited<ReturnType<typeof startIdentity>>): Promise<void> {
  const { path, identity, shift, mesh, lines } = started;
  await firstToken(started);
  path.takesNew = false;
  shift.monotonicMs += HALF_AN_HOUR_AND_MORE_MS;
  identity.tick();
  await pollUntil(
    () => has(lines, 'ait_renewal_failed'),
    (failed) => failed,
  );
  assert.ok(has(mesh.log.lines, 'svid_renewed'));
  assert.equal(has(lines, 'svid_renewal_failed'), false);
}

test('an authority that falls silent between certificate and token: the old certificate goes on until the token is there', async (t) => {
  const started = await startIdentity(t);
  const { path, identity, count } = started;
  const { thumbprint: first } = identity.current;
  await renewWithoutToken(started);

  for (let second = 0; second < 3; second += 1) identity.tick();
  assert.deepEqual([identity.current.thumbprint, identity.current.caughtUp, count.rotations], [first, true, 0]);
  const shown = await identity.forExchange(0);
  assert.ok('thumbprint' in shown, 'whoever dials meanwhile need not wait');
  assert.equal(shown.thumbprint, first);

  path.takesNew = true;
  await pollUntil(
    () => count.rotations,
    (rotations) => rotations === 1,
  );
  assert.notEqual(identity.current.thumbprint, first);
  assert.equal(identity.current.caughtUp, true, 'not for a moment without a token');
});

test('a certificate that has ended is not kept for want of a token for the next', async (t) => {
  const started = await startIdentity(t);
  const { identity, shift, count } = started;
  const { thumbprint: first, notAfter } = identity.current;
  await renewWithoutToken(started);
  shift.wallMs = notAfter - Date.now() - 60_000;
  identity.tick();
  assert.deepEqual([identity.current.thumbprint, count.rotations], [first, 0], 'a minute is left');
  shift.wallMs += 60_001;
  identity.tick();
  assert.notEqual(identity.current.thumbprint, first);
  assert.deepEqual([identity.current.caughtUp, count.rotations], [false, 1]);
});

test('a renewal whose answer was lost is asked for again with the same key: the authority repeats it, and sees no fork', async (t) => {
  const started = await startIdentity(t);
  const { mesh, path, identity, shift, count, lines } = started;
  const { thumbprint: first, instanceId } = identity.current;

  await firstToken(started);

  path.losesAnswers = true;
  shift.monotonicMs += HALF_AN_HOUR_AND_MORE_MS;
  identity.tick();
  await pollUntil(
    () => has(mesh.log.lines, 'svid_renewed'),
    (renewed) => renewed,
  );
  path.cut();
  // In the same turn: whoever connects anew, as the token's own renewal does, must find a way that works.
  path.losesAnswers = false;
  await pollUntil(
    () => has(lines, 'svid_renewal_failed'),
    (failed) => failed,
  );
  assert.deepEqual([identity.current.thumbprint, count.rotations], [first, 0], 'nobody has the new certificate yet');

  identity.tick();
  assert.equal(count.rotations, 0, 'not before a pause');
  shift.monotonicMs += HALF_AN_HOUR_AND_MORE_MS;
  identity.tick();
  await pollUntil(
    () => count.rotations,
    (rotations) => rotations === 1,
  );
  assert.notEqual(identity.current.thumbprint, first);
  assert.equal(identity.current.instanceId, instanceId, 'still the same instance');
  assert.equal(has(mesh.log.lines, 'renewal_forked'), false);
  assert.equal(has(lines, 'svid_renewal_refused'), false);
  await pollUntil(
    () => identity.current.caughtUp,
    (caughtUp) => caughtUp,
  );

  // The key was for one certificate: the next renewal has another, and is no fork either.
  const second = identity.current;
  shift.monotonicMs += HALF_AN_HOUR_AND_MORE_MS;
  identity.tick();
  await pollUntil(
    () => count.rotations,
    (rotations) => rotations === 2,
  );
  const keys = [second, identity.current].map(({ membership: { keyPair } }) =>
    keyPair.publicKey.export({ format: 'der', type: 'spki' }).toString('hex'),
  );
  assert.notEqual(keys[0], keys[1]);
  assert.equal(has(mesh.log.lines, 'renewal_forked'), false);
});
