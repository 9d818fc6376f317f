import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { FLAG, FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';
import { Attacker } from '../support/attacker.ts';
import { CallMesh } from '../support/call-mesh.ts';
import { frame } from '../support/http2-bytes.ts';
import { holdCalls } from '../support/held-calls.ts';
import { HostileCallee } from '../support/hostile-http2.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { GRPC_CALL, RawHttp2, type RawFields } from '../support/raw-http2.ts';

const NARROW = ['POST /interop.Admin/*'];
const OTHER_CALL: RawFields = GRPC_CALL.map(([name, value]) =>
  name === ':path' ? [name, '/interop.Admin/Drop'] : [name, value],
);
const FRAME_BYTES = 10_000;
/** The head of a DATA frame that promises more than comes. */
const promise = (stream: number) => frame(FRAME_TYPE.data, { stream, payload: Buffer.alloc(FRAME_BYTES) });

test('trust rule 21: a call that is cut in the middle of a frame leaves the callee with whole ones, and in step', async (t) => {
  const world = await CallMesh.start(t);
  const held = holdCalls(world);
  const connection = world.connect();
  connection.headers(1, GRPC_CALL);
  const call = await held.take();
  // Whatever the callee asks to be acknowledged has been: that must not come within the frame.
  connection.send(frame(FRAME_TYPE.ping, { payload: Buffer.alloc(8) }));
  await connection.hear(({ type }) => type === FRAME_TYPE.ping, 'the answer to a PING');
  let arrived = 0;
  call.stream.on('data', (chunk: Buffer) => (arrived += chunk.length));
  connection.send(promise(1).subarray(0, 9 + 3000));
  // What has come goes on at once: nobody waits for the end of the frame.
  await pollUntil(
    () => arrived,
    (bytes) => bytes === 3000,
  );
  await world.grant(NARROW);
  const { head } = await connection.answer(1);
  assert.equal(head['grpc-status'], '7');
  assert.equal(await call.over, 8);
  // The rest of the frame leads nowhere; behind it the next call goes on.
  connection.send(Buffer.alloc(FRAME_BYTES - 3000));
  connection.headers(3, OTHER_CALL);
  assert.equal((await held.take()).path, '/interop.Admin/Drop');
  assert.equal(arrived, 3000);
  connection.socket.destroy();
});

test('trust rule 21: a callee that stops within a frame blocks neither the end of that call nor the others', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { app: false, start: false } },
  });
  const attacker = await Attacker.of(t, mesh);
  const callee = await HostileCallee.start(t, attacker.member('researcher'));
  const planner = mesh.agent('planner');
  const [peer] = planner.config['peers'] as [{ address?: string }];
  peer.address = callee.address;
  planner.config['calls'] = { max_deadline: '500ms' };
  await planner.start();
  const caller = new RawHttp2(connect({ path: planner.socketTo('researcher') })).begin();
  caller.headers(1, GRPC_CALL);
  const hostile = await callee.connections.take();
  await hostile.hear(({ type }) => type === FRAME_TYPE.headers, 'the call');
  hostile.headers(1, [
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ]);
  const padded = frame(FRAME_TYPE.data, {
    flags: FLAG.padded,
    stream: 1,
    payload: Buffer.concat([Buffer.from([200]), Buffer.alloc(5000)]),
  });
  hostile.send(padded, promise(1).subarray(0, 9 + 3000));

  // Cut at its deadline, while the callee owes 7,000 bytes of a frame.
  const { bytes, trailers } = await caller.answer(1);
  assert.equal(trailers['grpc-status'], '4');
  assert.equal(bytes, 4800 + 3000, 'the bytes that came, in whole frames, and no padding');
  const reset = await hostile.hear(({ type }) => type === FRAME_TYPE.rstStream, 'RST_STREAM');
  assert.equal(reset.stream, 1);

  // The next call is answered behind the rest of that frame, which leads nowhere.
  caller.headers(3, GRPC_CALL, { end: true });
  await hostile.hear(({ type, stream }) => type === FRAME_TYPE.headers && stream === 3, 'the next call');
  hostile.send(Buffer.alloc(FRAME_BYTES - 3000));
  const fields: RawFields = [
    [':status', '200'],
    ['content-type', 'application/grpc'],
    ['grpc-status', '0'],
  ];
  hostile.headers(3, fields, { end: true });
  assert.equal((await caller.answer(3)).head['grpc-status'], '0');
  assert.equal((await caller.answer(1)).bytes, 4800 + 3000);
  caller.socket.destroy();
});
