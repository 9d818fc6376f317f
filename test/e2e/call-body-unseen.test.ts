import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallMesh } from '../support/call-mesh.ts';
import { get, GRPC_CALL, type RawFields } from '../support/raw-http2.ts';

function grpc(path: string): RawFields {
  return GRPC_CALL.map(([name, value]) => [name, name === ':path' ? path : value] as const);
}

const CARD = get('/.well-known/agent-card.json');
const MCP = get('/mcp', ['accept', 'text/event-stream'], ['mcp-session-id', 's']);
const PUSH = grpc('/lf.a2a.v1.A2AService/CreateTaskPushNotificationConfig');

test('over HTTP/2, where bodies are not read, what has to be read is refused by each sidecar alone', async (t) => {
  const sides = [
    { looking: 'planner', blind: 'researcher' },
    { looking: 'researcher', blind: 'planner' },
  ] as const;
  for (const { looking, blind } of sides) {
    const world = await CallMesh.start(t, { [blind === 'planner' ? 'peer' : 'app']: { read_bodies: 'none' } });
    const seen = world[looking];
    for (const fields of [CARD, MCP]) {
      const { head } = await world.call(fields);
      const reason = looking === 'planner' ? 'CALL_BODY_UNSEEN' : 'NOT_PERMITTED';
      assert.deepEqual([head[':status'], head['x-ait-refused']], ['421', reason]);
    }
    const { trailers, head } = await world.call(PUSH);
    assert.equal(trailers['grpc-status'] ?? head['grpc-status'], '9');
    assert.deepEqual((await seen.codes()).slice(0, 3), ['CALL_BODY_UNSEEN', 'CALL_BODY_UNSEEN', 'CALL_BODY_UNSEEN']);
    assert.equal(world.taken.length, 0, 'the agent never hears of them');
    const { head: answer } = await world.call(grpc('/lf.a2a.v1.A2AService/SendMessage'));
    assert.equal(answer[':status'], '200');
    assert.equal(world.taken.length, 1, 'but of messages it does');
  }
});
