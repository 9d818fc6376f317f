import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { HostileAcceptor } from '../support/hostile-acceptor.ts';
import { startMesh } from '../support/mesh.ts';

test('trust rule 6: TLS 1.3 without resumption, before and after a certificate rotation', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: {} },
    authority: { svid_lifetime: '4s' },
  });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const identity = attacker.member('planner');
  const certificates = new Set<string>();

  const check = async () => {
    const before = victim.sidecar.mark();
    await assert.rejects(
      attacker.tls(victim.inbound, { identity, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }),
      /protocol|alert|version/i,
    );
    assert.equal((await victim.waitFor('peer_refused', () => true, { from: before }))['code'], 'TLS_HANDSHAKE_FAILED');

    const sessions: Buffer[] = [];
    const first = await attacker.tls(victim.inbound, { identity });
    first.on('session', (session: Buffer) => sessions.push(session));
    assert.equal(first.getProtocol(), 'TLSv1.3');
    certificates.add(first.getPeerX509Certificate()?.fingerprint256 ?? '');
    // Whatever names a session comes before the first byte of HTTP/2 that the server sends.
    await once(first, 'data');
    first.destroy();
    for (const session of [...sessions, first.getSession()]) {
      const second = await attacker.tls(victim.inbound, { identity, ...(session !== undefined && { session }) });
      assert.equal(second.isSessionReused(), false, 'a session was resumed');
      second.destroy();
    }
  };
  await check();
  await victim.waitFor('svid_renewed');
  await check();
  assert.equal(certificates.size, 2, 'the second look was at another certificate');
});

test('trust rule 6: a sidecar never resumes towards a peer that offers tickets', async (t) => {
  const seen: unknown[] = [];
  const mesh = await startMesh(t, { agents: { planner: { start: false }, researcher: { start: false } } });
  const attacker = await Attacker.of(t, mesh);
  const researcher = attacker.member('researcher');
  const fake = await new HostileAcceptor({
    identity: () => researcher,
    tls: { ticketKeys: Buffer.alloc(48, 7), sessionIdContext: 'x' },
    onSecure: (socket) => seen.push([socket.getProtocol(), socket.isSessionReused()]),
    onExchange: (exchange) => exchange.destroy(),
  }).start(t);
  const files = await mesh.register('caller', { calls: ['researcher'] });
  const caller = await mesh.addInstance('caller', {
    agent: 'caller',
    files,
    spec: { calls: ['researcher'], addresses: { researcher: fake.address } },
  });
  // Three dials for one call: the peer ended each.
  await assert.rejects(caller.call('researcher'));
  assert.deepEqual(
    seen,
    [1, 2, 3].map(() => ['TLSv1.3', false]),
  );
});
