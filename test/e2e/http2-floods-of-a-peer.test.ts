import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';
import { Attacker } from '../support/attacker.ts';
import { CallMesh } from '../support/call-mesh.ts';
import { HostileCallee, openPeerConnection } from '../support/hostile-http2.ts';
import { CLIENT_FLOODS, COMMON_FLOODS } from '../support/http2-floods.ts';
import { startMesh } from '../support/mesh.ts';
import { get, GRPC_CALL, RawHttp2 } from '../support/raw-http2.ts';
import type { TestAgent } from '../support/test-agent.ts';

const MEGABYTE = 1024 * 1024;
const memoryOf = (agent: TestAgent) => agent.metric('process_resident_memory_bytes');

test('a peer that floods the sidecar of whom it calls is told to calm down, is cut off, and disturbs nobody', async (t) => {
  const world = await CallMesh.start(t);
  const victim = world.researcher;
  const attacker = await Attacker.of(t, world.mesh);
  const exchange = await attacker.admitted(victim.inbound, attacker.member('planner', world.planner.measurement));
  const honest = world.connect();
  let stream = 1;
  const answered = async () => (await honest.call(stream, get('/honest'))).head[':status'];
  assert.equal(await answered(), '200');
  const before = await memoryOf(victim);

  for (const [name, flood] of Object.entries(CLIENT_FLOODS)) {
    await t.test(name, async () => {
      const from = victim.sidecar.mark();
      const hostile = (await openPeerConnection(attacker, victim, exchange)).begin();
      hostile.headers(1, GRPC_CALL);
      await hostile.hear(({ type }) => type === FRAME_TYPE.settings, 'SETTINGS');
      await hostile.flood(flood(1));
      assert.equal(await hostile.goaway(), 'ENHANCE_YOUR_CALM');
      await hostile.closed;
      const refused = await victim.waitForVerdict({ code: 'HTTP2_FLOOD', direction: 'inbound' }, { from });
      assert.match(String(refused['subject']), /agent\/planner$/);
      stream += 2;
      assert.equal(await answered(), '200', 'an honest peer goes on');
    });
  }

  const grown = (await memoryOf(victim)) - before;
  assert.ok(grown < 96 * MEGABYTE, `grown by ${grown} bytes`);
  honest.socket.destroy();
});

test('a peer that floods the sidecar of who called it loses the connection; its caller gets a status', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { app: false, start: false } },
  });
  const attacker = await Attacker.of(t, mesh);
  const callee = await HostileCallee.start(t, attacker.member('researcher'));
  const victim = mesh.agent('planner');
  const [peer] = victim.config['peers'] as [{ address?: string }];
  peer.address = callee.address;
  await victim.start();
  const before = await memoryOf(victim);

  for (const [name, flood] of Object.entries(COMMON_FLOODS)) {
    await t.test(name, async () => {
      const from = victim.sidecar.mark();
      const socket = connect({ path: victim.socketTo('researcher') });
      await once(socket, 'connect');
      const caller = new RawHttp2(socket).begin();
      caller.headers(1, GRPC_CALL, { end: true });
      const hostile = await callee.connections.take();
      await hostile.hear(({ type }) => type === FRAME_TYPE.headers, 'the call');
      // The head of an answer, for the frames that need one.
      hostile.headers(1, [
        [':status', '200'],
        ['content-type', 'application/grpc'],
      ]);
      await hostile.flood(flood(1));
      assert.equal(await hostile.goaway(), 'ENHANCE_YOUR_CALM');
      const { trailers } = await caller.answer(1);
      assert.equal(trailers['x-ait-refused'], 'HTTP2_FLOOD');
      assert.equal(trailers['grpc-status'], '8');
      await Promise.all([caller.closed, hostile.closed]);
      await victim.waitForVerdict({ code: 'HTTP2_FLOOD', direction: 'outbound' }, { from });
    });
  }

  const grown = (await memoryOf(victim)) - before;
  assert.ok(grown < 96 * MEGABYTE, `grown by ${grown} bytes`);
  assert.equal((await victim.status()).inOrder, true);
});
