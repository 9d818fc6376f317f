import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched } from '../support/attacks.ts';
import { HostileAcceptor } from '../support/hostile-acceptor.ts';
import { startMesh } from '../support/mesh.ts';

test('trust rule 7: a socket that negotiated no protocol of ours is destroyed, a valid certificate or not', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const identity = attacker.member('planner');

  await t.test('none offered: the handshake succeeds and the socket is destroyed: ALPN_MISMATCH', async () => {
    const socket = await attacker.tls(victim.inbound, { identity, ALPNProtocols: [] });
    assert.equal(socket.alpnProtocol, false);
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal((await victim.waitFor('peer_refused'))['code'], 'ALPN_MISMATCH');
  });

  for (const offered of ['http/1.1', 'ait-data/2', 'H2', 'ait-data/1 ']) {
    await t.test(`only "${offered}" offered: TLS itself turns it away`, async () => {
      const from = victim.sidecar.mark();
      await assert.rejects(attacker.tls(victim.inbound, { identity, ALPNProtocols: [offered] }));
      assert.equal((await victim.waitFor('peer_refused', () => true, { from }))['code'], 'TLS_HANDSHAKE_FAILED');
    });
  }

  await t.test('a peer that negotiates nothing when it is dialled: ALPN_MISMATCH', async () => {
    const researcher = attacker.member('researcher');
    const fake = await new HostileAcceptor({
      identity: () => researcher,
      tls: { ALPNProtocols: [] },
    }).start(t);
    const files = await mesh.register('caller', { calls: ['researcher'] });
    const spec = { calls: ['researcher'], addresses: { researcher: fake.address } };
    const caller = await mesh.addInstance('caller', { agent: 'caller', files, spec });
    await assert.rejects(caller.call('researcher', 'secret'));
    assert.equal((await caller.waitForVerdict())['code'], 'ALPN_MISMATCH');
  });

  await t.test(
    'there is one service on the control channel: another path, or a second stream, gets nowhere',
    async () => {
      const socket = await attacker.tls(victim.inbound, { identity });
      const session = attacker.http2(socket);
      const request = session.request({
        ':method': 'POST',
        ':path': '/ait.v1.StateService/Watch',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      request.on('error', () => undefined);
      const [headers] = (await once(request, 'response')) as [Record<string, string>];
      assert.equal(headers['grpc-status'], '12', 'UNIMPLEMENTED');
      socket.destroy();
    },
  );

  assertAppUntouched(victim);
});
