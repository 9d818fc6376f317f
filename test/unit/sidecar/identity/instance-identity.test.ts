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

/** The way to a server, on which answers can be lost. */
async function lossyPath(t: TestContext, target: string) {
  const sockets = new Set<Socket>();
  const path = { address: '', losesAnswers: false, cut: () => sockets.forEach((socket) => socket.destroy()) };
  const server = createServer((client) => {
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

test('a renewal whose answer was lost is asked for again with the same key: the authority repeats it, and sees no fork', async (t) => {
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
  let shiftMs = 0;
  const clock = { now: () => systemClock.now(), monotonic: () => systemClock.monotonic() + shiftMs };
  const membership = await joinMesh({
    enrollment: enrollWithCredential(credential),
    address: path.address,
    clock,
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
  });
  const trust = new TrustStore();
  trust.replace([membership.bundle]);
  const { logger, lines } = createLogBook();
  let [rotations, tokens] = [0, 0];
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
    onRotated: () => (rotations += 1),
    onToken: () => (tokens += 1),
    ownRejection: () => undefined,
  });
  t.after(() => identity.stop());
  const { thumbprint: first, instanceId } = identity.current;
  const has = (book: readonly Record<string, unknown>[], event: string) => book.some((line) => line['event'] === event);

  // A first token, so that the connection that the renewal will use stands.
  identity.measured(parseMeasurement(parseStrictJson(JSON.stringify(MEASUREMENT))));
  await pollUntil(
    () => tokens,
    (count) => count === 1,
  );

  path.losesAnswers = true;
  shiftMs += HALF_AN_HOUR_AND_MORE_MS;
  identity.tick();
  await pollUntil(
    () => has(mesh.log.lines, 'svid_renewed'),
    (renewed) => renewed,
  );
  path.cut();
  await pollUntil(
    () => has(lines, 'svid_renewal_failed'),
    (failed) => failed,
  );
  assert.deepEqual([identity.current.thumbprint, rotations], [first, 0], 'nobody has the new certificate yet');

  path.losesAnswers = false;
  identity.tick();
  assert.equal(rotations, 0, 'not before a pause');
  shiftMs += HALF_AN_HOUR_AND_MORE_MS;
  identity.tick();
  await pollUntil(
    () => rotations,
    (count) => count === 1,
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
  shiftMs += HALF_AN_HOUR_AND_MORE_MS;
  identity.tick();
  await pollUntil(
    () => rotations,
    (count) => count === 2,
  );
  const keys = [second, identity.current].map(({ membership: { keyPair } }) =>
    keyPair.publicKey.export({ format: 'der', type: 'spki' }).toString('hex'),
  );
  assert.notEqual(keys[0], keys[1]);
  assert.equal(has(mesh.log.lines, 'renewal_forked'), false);
});
