import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { ERROR_CODE, FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';
import { Attacker } from '../support/attacker.ts';
import { CallMesh, changeGrant } from '../support/call-mesh.ts';
import { beginAnswer, holdCalls } from '../support/held-calls.ts';
import { HostileCallee, openPeerConnection } from '../support/hostile-http2.ts';
import { get, GRPC_CALL, RawHttp2, type RawFields } from '../support/raw-http2.ts';
import { startMesh } from '../support/mesh.ts';

const NARROW = ['POST /interop.Test/*', 'GET /docs/*'];
const ADMIN_CALL: RawFields = GRPC_CALL.map(([name, value]) =>
  name === ':path' ? [name, '/interop.Admin/Drop'] : [name, value],
);
/** From the moment a sidecar has the new state to the end of the call, ms; one that only looked now and then would need longer. */
const AT_ONCE = 1000;

test('a grant that is narrowed cuts the calls it no longer covers, on both sides, and only those', async (t) => {
  const world = await CallMesh.start(t);
  const { planner, researcher } = world;
  const held = holdCalls(world);
  const connection = world.connect();
  connection.headers(1, GRPC_CALL);
  connection.headers(3, ADMIN_CALL);
  connection.headers(5, get('/docs/a'), { end: true });
  connection.headers(7, get('/admin'), { end: true });
  connection.headers(9, ADMIN_CALL, { end: true });
  const [test1, admin, docs, adminPage, unanswered] = [
    await held.take(),
    await held.take(),
    await held.take(),
    await held.take(),
    await held.take(),
  ];
  for (const call of [test1, admin, adminPage]) beginAnswer(call);
  for (const stream of [1, 3, 7])
    await connection.hear((heard) => heard.stream === stream && heard.type === FRAME_TYPE.data, 'a first message');
  const sessions = (await planner.sessions()).map(({ id }) => id);

  await world.grant(NARROW);
  const since = performance.now();
  const [begun, plain, empty] = await Promise.all([connection.answer(3), connection.answer(7), connection.answer(9)]);
  const codes = await Promise.all([admin.over, adminPage.over, unanswered.over]);
  assert.ok(performance.now() - since < AT_ONCE, `${performance.now() - since} ms`);

  await t.test('the caller gets what its protocol has for it', () => {
    // Whichever sidecar was first: that of the caller says more than that of the callee may.
    const reasons = ['CALL_NOT_GRANTED', 'NOT_PERMITTED'];
    assert.deepEqual([begun.trailers['grpc-status'], begun.bytes], ['7', 8], 'trailers behind what had come');
    assert.deepEqual([empty.head['grpc-status'], empty.head[':status']], ['7', '200'], 'trailers only');
    for (const fields of [begun.trailers, empty.head]) assert.ok(reasons.includes(fields['x-ait-refused'] ?? ''));
    assert.deepEqual([plain.head[':status'], plain.resetCode], ['200', ERROR_CODE.CANCEL], 'it had been promised more');
  });

  await t.test('the callee gets a reset of each, at once', () =>
    assert.deepEqual(codes, [ERROR_CODE.CANCEL, ERROR_CODE.CANCEL, ERROR_CODE.CANCEL]),
  );

  await t.test('what is still granted goes on, on the same connection and session', async () => {
    connection.data(1, Buffer.from([0, 0, 0, 0, 0]), { end: true });
    docs.stream.respond({ ':status': 200 });
    docs.stream.end('page');
    test1.stream.end();
    assert.equal((await connection.answer(5)).bytes, 4);
    assert.equal((await connection.answer(1)).bytes, 8);
    assert.equal((await connection.call(11, ADMIN_CALL)).head['grpc-status'], '7');
    assert.deepEqual(
      (await planner.sessions()).map(({ id }) => id),
      sessions,
    );
  });

  await t.test('each is on record as cut, once on each side', async () => {
    for (const agent of [planner, researcher]) assert.equal(await agent.metric('ait_calls_inflight'), 0);
    const counted = await planner.metric('ait_calls_total', { direction: 'outbound', code: 'PERMISSION_DENIED' });
    assert.equal(counted, 3, 'two that were cut, one that was refused');
  });

  await t.test('a grant that is withdrawn ends the session, and each call with the reason', async () => {
    connection.headers(13, GRPC_CALL);
    const last = await held.take();
    await world.grant([]);
    const { head } = await connection.answer(13);
    assert.equal(head['grpc-status'], '7');
    assert.ok((await last.over) !== 0, 'the callee is not left waiting');
    await connection.closed;
    const ended = await planner.waitFor('session_terminated');
    // Without a grant nothing is known of the other any more; and the sidecar of the callee may have been first.
    assert.ok(['AGENT_UNKNOWN', 'PEER_ENDED'].some((code) => code === ended['code']));
    assert.deepEqual([head['x-ait-refused'], head['x-ait-correlation-id']], [ended['code'], ended['correlationId']]);
    const again = world.connect();
    await again.closed;
  });
});

test('each side cuts by itself: the sidecar of the callee where that of the caller is an attacker', async (t) => {
  const world = await CallMesh.start(t);
  const { mesh, planner, researcher } = world;
  const held = holdCalls(world);
  const attacker = await Attacker.of(t, mesh);
  const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner', planner.measurement));
  const hostile = (await openPeerConnection(attacker, researcher, exchange)).begin();
  hostile.headers(1, ADMIN_CALL);
  const call = await held.take();
  beginAnswer(call);
  await world.grant(NARROW);
  const { trailers } = await hostile.answer(1);
  assert.deepEqual([trailers['grpc-status'], trailers['x-ait-refused']], ['7', 'NOT_PERMITTED']);
  assert.equal(await call.over, ERROR_CODE.CANCEL);
  const cut = await researcher.waitFor('call_cut');
  assert.deepEqual([cut['code'], cut['correlationId']], ['CALL_NOT_GRANTED', trailers['x-ait-correlation-id']]);
  hostile.headers(3, GRPC_CALL);
  assert.equal((await held.take()).path, '/interop.Test/Unary', 'the session goes on');
  exchange.destroy();
});

test('each side cuts by itself: the sidecar of the caller where that of the callee is an attacker', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { app: false, start: false } },
  });
  const attacker = await Attacker.of(t, mesh);
  const callee = await HostileCallee.start(t, attacker.member('researcher'));
  const planner = mesh.agent('planner');
  const [peer] = planner.config['peers'] as [{ address?: string }];
  peer.address = callee.address;
  await planner.start();
  const caller = new RawHttp2(connect({ path: planner.socketTo('researcher') })).begin();
  caller.headers(1, ADMIN_CALL);
  const hostile = await callee.connections.take();
  await hostile.hear(({ type }) => type === FRAME_TYPE.headers, 'the call');
  hostile.headers(1, [
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ]);
  await changeGrant(mesh, NARROW, [planner]);
  const { trailers } = await caller.answer(1);
  assert.deepEqual([trailers['grpc-status'], trailers['x-ait-refused']], ['7', 'CALL_NOT_GRANTED']);
  const reset = await hostile.hear(({ type }) => type === FRAME_TYPE.rstStream, 'RST_STREAM');
  assert.equal(reset.payload.readUInt32BE(0), ERROR_CODE.CANCEL);
  // What it still says of that call leads nowhere.
  hostile.data(1, Buffer.alloc(1000), { end: true });
  caller.headers(3, GRPC_CALL, { end: true });
  await hostile.hear(({ type, stream }) => type === FRAME_TYPE.headers && stream === 3, 'the next call');
  assert.equal((await caller.answer(1)).bytes, 0);
});
