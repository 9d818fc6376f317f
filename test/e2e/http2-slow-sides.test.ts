import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { CLIENT_PREFACE, FLAG, FRAME_TYPE, SETTING } from '../../src/dataplane/http2/protocol.ts';
import { CallMesh } from '../support/call-mesh.ts';
import { frame } from '../support/http2-bytes.ts';
import { fieldsBlock, get, GRPC_CALL, RawHttp2, settingsFrame } from '../support/raw-http2.ts';

/** What a side may take to begin, or for a frame, is 10 s; on a busy machine it is found out later. */
const LATE = 40_000;

test('a side that is slow on purpose is ended, by the name of what it was slow with', async (t) => {
  const world = await CallMesh.start(t, {
    planner: { calls: { stall_timeout: '400ms' } },
    researcher: { calls: { stall_timeout: '1h' } },
  });
  const { planner, researcher, server } = world;
  assert.equal((await world.call(get('/before'))).head[':status'], '200');
  const raw = async () => {
    const socket = connect({ path: planner.socketTo('researcher') });
    await once(socket, 'connect');
    return new RawHttp2(socket, { acknowledges: false });
  };

  await t.test('what waits ten seconds', { concurrency: true }, async (slow) => {
    await Promise.all([
      slow.test('half a preface, and then nothing: PREFACE_TIMEOUT', async () => {
        const connection = await raw();
        connection.send(CLIENT_PREFACE.subarray(0, 10));
        await connection.closed;
        // Both sidecars wait for it, and either may be the first to have had enough.
        await Promise.any([planner, researcher].map((agent) => agent.waitForVerdict({ code: 'PREFACE_TIMEOUT' })));
      }),
      slow.test('a preface and no SETTINGS', async () => {
        const connection = await raw();
        connection.send(CLIENT_PREFACE);
        const { payload } = await connection.hear(({ type }) => type === FRAME_TYPE.goaway, 'GOAWAY', LATE);
        assert.equal(payload.readUInt32BE(0), 0);
        await connection.closed;
      }),
      slow.test('SETTINGS one octet at a time', async () => {
        const connection = await raw();
        connection.send(CLIENT_PREFACE);
        const settings = settingsFrame(Array.from({ length: 20 }, () => [SETTING.initialWindowSize, 65_535]));
        let at = 0;
        const drip = setInterval(() => connection.send(settings.subarray(at, ++at)), 400);
        await connection.hear(({ type }) => type === FRAME_TYPE.goaway, 'GOAWAY', LATE);
        await connection.closed;
        clearInterval(drip);
      }),
      slow.test('a header block one octet at a time: ENHANCE_YOUR_CALM', async () => {
        const connection = await raw();
        connection.begin();
        const block = frame(FRAME_TYPE.headers, { flags: FLAG.endHeaders, stream: 1, payload: fieldsBlock(GRPC_CALL) });
        let at = 0;
        const drip = setInterval(() => connection.send(block.subarray(at, ++at)), 400);
        assert.equal(await connection.goaway(LATE), 'ENHANCE_YOUR_CALM');
        await connection.closed;
        clearInterval(drip);
      }),
      slow.test('a header block that waits for its CONTINUATION: ENHANCE_YOUR_CALM', async () => {
        const connection = await raw();
        connection.begin();
        connection.send(frame(FRAME_TYPE.headers, { stream: 1, payload: fieldsBlock(GRPC_CALL) }));
        assert.equal(await connection.goaway(LATE), 'ENHANCE_YOUR_CALM');
        await connection.closed;
      }),
    ]);
  });

  await t.test('a caller that opens no window: its call is cut with CALL_STALLED, others go on', async () => {
    const connection = world.connect([[SETTING.initialWindowSize, 0]]);
    connection.headers(1, GRPC_CALL, { end: true });
    const { trailers, bytes } = await connection.answer(1);
    assert.deepEqual([trailers['grpc-status'], trailers['x-ait-refused'], bytes], ['8', 'CALL_STALLED', 0]);
    // With a window the next one is served.
    connection.send(settingsFrame([[SETTING.initialWindowSize, 65_535]]));
    const answer = await connection.call(3, GRPC_CALL);
    assert.equal(answer.trailers['grpc-status'], '0');
    connection.socket.destroy();
  });

  await t.test('the same without gRPC: the answer that was begun is reset', async () => {
    const connection = world.connect([[SETTING.initialWindowSize, 3]]);
    connection.headers(1, get('/long'), { end: true });
    const { head, resetCode, bytes } = await connection.answer(1);
    assert.deepEqual([head[':status'], bytes, resetCode], ['200', 3, 8]);
    connection.socket.destroy();
  });

  await t.test('an agent that reads nothing of what is sent to it: the caller is told CALL_STALLED', async () => {
    const answerAtOnce = server.onStream;
    server.onStream = ({ stream }) => void stream.pause();
    const connection = world.connect();
    connection.headers(1, GRPC_CALL);
    for (let at = 0; at < 4; at += 1) connection.data(1, Buffer.alloc(16_000));
    connection.data(1, Buffer.alloc(1_535));
    const { head } = await connection.answer(1);
    assert.deepEqual([head['grpc-status'], head['x-ait-refused']], ['8', 'CALL_STALLED']);
    server.onStream = answerAtOnce;
    connection.socket.destroy();
  });
});
