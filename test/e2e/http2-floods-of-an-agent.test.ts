import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallMesh } from '../support/call-mesh.ts';
import { CLIENT_FLOODS } from '../support/http2-floods.ts';
import { get, GRPC_CALL } from '../support/raw-http2.ts';

const MEGABYTE = 1024 * 1024;

test('an agent that floods its sidecar with frames is told to calm down, is cut off, and disturbs nobody', async (t) => {
  const world = await CallMesh.start(t);
  const { planner, researcher } = world;
  const honest = world.connect();
  const answered = async (stream: number) => (await honest.call(stream, get('/honest'))).head[':status'];
  assert.equal(await answered(1), '200');
  const memory = () => Promise.all([planner, researcher].map((each) => each.metric('process_resident_memory_bytes')));
  const before = await memory();

  let stream = 1;
  for (const [name, flood] of Object.entries(CLIENT_FLOODS)) {
    await t.test(name, async () => {
      const from = planner.sidecar.mark();
      const attacker = world.connect();
      // One call that stays open, for the frames that need one.
      attacker.headers(1, GRPC_CALL);
      await attacker.hear(({ type }) => type === 4, 'SETTINGS');
      await attacker.flood(flood(1));
      assert.equal(await attacker.goaway(), 'ENHANCE_YOUR_CALM');
      await attacker.closed;
      const refused = await planner.waitForVerdict({ code: 'HTTP2_FLOOD' }, { from });
      assert.match(String(refused['detail']), /^the caller: ENHANCE_YOUR_CALM, too many of one kind: /);
      stream += 2;
      assert.equal(await answered(stream), '200', 'another connection goes on');
    });
  }

  for (const [at, bytes] of (await memory()).entries()) {
    const grown = bytes - (before[at] ?? 0);
    assert.ok(grown < 96 * MEGABYTE, `grown by ${grown} bytes`);
  }
  honest.socket.destroy();
});
