import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME_TYPE, MAX_31_BITS, SETTING } from '../../src/dataplane/http2/protocol.ts';
import { Attacker } from '../support/attacker.ts';
import { CallMesh } from '../support/call-mesh.ts';
import { frame } from '../support/http2-bytes.ts';
import { beginAnswer, holdCalls } from '../support/held-calls.ts';
import { openPeerConnection } from '../support/hostile-http2.ts';
import { GRPC_CALL } from '../support/raw-http2.ts';
import { within } from '../support/within.ts';
import { pollUntil } from '../support/poll-until.ts';

const MEGABYTE = 1024 * 1024;

/** Two calls under way, one with the head of an answer. */
async function underWay(world: CallMesh) {
  const held = holdCalls(world);
  const connection = world.connect();
  connection.headers(1, GRPC_CALL);
  const begun = await held.take();
  beginAnswer(begun);
  connection.headers(3, GRPC_CALL, { end: true });
  const waiting = await held.take();
  await connection.hear(({ type }) => type === FRAME_TYPE.data, 'a first message');
  return { connection, begun, waiting };
}

test('the agent that drifts itself gets PERMISSION_DENIED and the drift code for each call, then the end; its callee resets', async (t) => {
  const world = await CallMesh.start(t);
  const { planner } = world;
  const { connection, begun, waiting } = await underWay(world);
  await planner.files.writePrompt('You are somebody else.\n');
  const [first, second] = await Promise.all([connection.answer(1), connection.answer(3)]);
  assert.deepEqual([first.trailers['grpc-status'], first.trailers['x-ait-refused']], ['7', 'SYSTEM_PROMPT_DRIFT']);
  assert.deepEqual([second.head['grpc-status'], second.head['x-ait-refused']], ['7', 'SYSTEM_PROMPT_DRIFT']);
  await within(connection.closed, 'the end of the connection of the agent');
  assert.ok((await within(begun.over, 'the end of the call at the callee')) !== 0);
  assert.ok((await within(waiting.over, 'the end of the call at the callee')) !== 0);
  const ended = await planner.waitFor('session_terminated');
  for (const { 'x-ait-correlation-id': id } of [first.trailers, second.head]) assert.equal(id, ended['correlationId']);
});

test('where the peer drifts, and does not cut itself off, the caller is told which drift it was', async (t) => {
  const world = await CallMesh.start(t, { half: { selfCut: false } });
  const { planner, researcher } = world;
  const { connection, begun } = await underWay(world);
  await researcher.files.writeModel('2');
  const [first, second] = await Promise.all([connection.answer(1), connection.answer(3)]);
  assert.deepEqual([first.trailers['grpc-status'], first.trailers['x-ait-refused']], ['7', 'MODEL_DRIFT']);
  assert.deepEqual([second.head['grpc-status'], second.head['x-ait-refused']], ['7', 'MODEL_DRIFT']);
  await within(connection.closed, 'the end of the connection of the agent');
  assert.ok((await within(begun.over, 'the end of the call at the callee')) !== 0);
  const ended = await planner.waitFor('session_terminated');
  assert.deepEqual([ended['code'], ended['correlationId']], ['MODEL_DRIFT', first.trailers['x-ait-correlation-id']]);
  const cut = { direction: 'outbound', reason: 'MODEL_DRIFT' };
  assert.equal(await planner.metric('ait_calls_cut_total', cut), 2);
});

test('where the peer drifts and cuts itself off, the caller hears at once that the peer ended it', async (t) => {
  const world = await CallMesh.start(t);
  const { planner, researcher } = world;
  const { connection, begun } = await underWay(world);
  await researcher.files.writeModel('2');
  const [first, second] = await Promise.all([connection.answer(1), connection.answer(3)]);
  assert.deepEqual([first.trailers['grpc-status'], first.trailers['x-ait-refused']], ['14', 'PEER_ENDED']);
  assert.deepEqual([second.head['grpc-status'], second.head['x-ait-refused']], ['14', 'PEER_ENDED']);
  await within(connection.closed, 'the end of the connection of the agent');
  assert.ok((await within(begun.over, 'the end of the call at the callee')) !== 0);
  // One id leads from what the caller was told to both sidecars' records.
  const id = first.trailers['x-ait-correlation-id'];
  await planner.waitForVerdict({ correlationId: id, code: 'PEER_ENDED' });
  await researcher.waitForVerdict({ correlationId: id, code: 'MODEL_DRIFT' });
});

test('a revocation cuts the calls of the one that is revoked, with its name, and it calls nobody again', async (t) => {
  const world = await CallMesh.start(t);
  const { mesh, planner, researcher } = world;
  const { connection, begun } = await underWay(world);
  const { instance } = await researcher.status();
  await mesh.authority.writePolicy('revocations/researcher', {
    kind: 'Revocation',
    id: 'researcher-gone',
    instance,
    reason: 'a test',
  });
  const { trailers } = await connection.answer(1);
  await within(connection.closed, 'the end of the connection of the agent');
  assert.ok((await within(begun.over, 'the end of the call at the callee')) !== 0);
  const ended = await planner.waitFor('session_terminated');
  assert.equal(trailers['x-ait-correlation-id'], ended['correlationId']);
  // The one who is revoked may learn of it first, and ends the session by itself.
  assert.ok(
    ['REVOKED', 'PEER_ENDED'].some((code) => trailers['x-ait-refused'] === code),
    trailers['x-ait-refused'],
  );
  assert.equal(trailers['x-ait-refused'], ended['code']);
});

test('a peer that reads slowly does not read on after the cut', async (t) => {
  const world = await CallMesh.start(t);
  const { mesh, planner, researcher: victim } = world;
  const held = holdCalls(world);
  const attacker = await Attacker.of(t, mesh);
  const exchange = await attacker.admitted(victim.inbound, attacker.member('planner', planner.measurement));
  const hostile = (await openPeerConnection(attacker, victim, exchange)).begin([
    [SETTING.initialWindowSize, MAX_31_BITS],
  ]);
  const window = Buffer.alloc(4);
  // More than fits anywhere on the way, and little enough for one process should it all arrive.
  window.writeUInt32BE(100 * MEGABYTE);
  hostile.send(frame(FRAME_TYPE.windowUpdate, { payload: window }));
  hostile.headers(1, GRPC_CALL, { end: true });
  const call = await held.take();
  beginAnswer(call);
  await hostile.hear(({ type }) => type === FRAME_TYPE.data, 'a first message');
  hostile.socket.pause();

  // The app sends until nothing more fits anywhere between it and the peer that reads nothing.
  let sent = 0;
  const more = () => {
    while (call.stream.write(Buffer.alloc(64 * 1024, 'x'))) sent += 64 * 1024;
    sent += 64 * 1024;
  };
  call.stream.on('drain', more);
  more();
  let before = -1;
  await pollUntil(
    () => {
      const unchanged = before === sent;
      before = sent;
      return unchanged;
    },
    (full) => full && sent > MEGABYTE,
    { everyMs: 300 },
  );
  let read = 0;
  const drifted = structuredClone(exchange.identity.measurement);
  exchange.heartbeat({ measurement: { ...drifted, model: { ...drifted.model, version: '666' } as never } });
  assert.equal((await exchange.expect('goodbye')).reason, 'WIRE_REASON_DRIFT');
  hostile.socket.on('data', (chunk: Buffer) => (read += chunk.length));
  hostile.socket.resume();
  await within(hostile.closed, 'the end of the connection of the peer');
  assert.ok(read < 256 * 1024, `${read} bytes were read after the cut, of ${sent} sent`);
  assert.ok((await within(call.over, 'the end of the call at the app')) !== 0, 'the app is told');
});
