import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { CallMesh } from '../support/call-mesh.ts';
import { GRPC_CALL } from '../support/raw-http2.ts';

const MEGABYTE = 1024 * 1024;

test('what a message claims to become costs the sidecars nothing: they pass bytes, and believe none of them', async (t) => {
  const world = await CallMesh.start(t);
  const { planner, researcher, server, taken } = world;
  const bodies: Buffer[] = [];
  const answerAtOnce = server.onStream;
  server.onStream = (each) => {
    const chunks: Buffer[] = [];
    each.stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    each.stream.once('end', () => bodies.push(Buffer.concat(chunks)));
    answerAtOnce?.(each);
  };
  const both = [planner, researcher];
  const memory = () => Promise.all(both.map((each) => each.metric('process_resident_memory_bytes')));
  assert.equal((await world.call(GRPC_CALL)).trailers['grpc-status'], '0');
  const before = await memory();

  await t.test('a length prefix of four gigabytes, 200 times', async () => {
    const lie = Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), Buffer.from('and ten bytes')]);
    const connection = world.connect();
    for (let at = 0; at < 200; at += 1) {
      const stream = 1 + 2 * at;
      connection.headers(stream, GRPC_CALL);
      connection.data(stream, lie, { end: true });
      assert.equal((await connection.answer(stream)).trailers['grpc-status'], '0');
    }
    connection.socket.destroy();
    assert.ok(bodies.at(-1)?.equals(lie), 'bytes arrive as they were sent');
  });

  await t.test('a gzip bomb arrives as small as it was sent', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * MEGABYTE));
    const head = Buffer.alloc(5);
    head[0] = 1;
    head.writeUInt32BE(bomb.length, 1);
    const message = Buffer.concat([head, bomb]);
    const connection = world.connect();
    connection.headers(1, [...GRPC_CALL, ['grpc-encoding', 'gzip']]);
    for (let at = 0; at < message.length; at += 10_000) {
      const piece = message.subarray(at, at + 10_000);
      connection.data(1, piece, { end: at + 10_000 >= message.length });
      if (at + 10_000 < message.length)
        await connection.hear(({ stream, type }) => stream === 1 && type === 1, 'an answer');
    }
    assert.equal((await connection.answer(1)).trailers['grpc-status'], '0');
    const [last] = [taken.at(-1)];
    if (last !== undefined && !last.stream.readableEnded) await once(last.stream, 'end');
    assert.ok(bodies.at(-1)?.equals(message));
    connection.socket.destroy();
  });

  for (const [at, bytes] of (await memory()).entries()) {
    const grown = bytes - (before[at] ?? 0);
    assert.ok(grown < 64 * MEGABYTE, `grown by ${grown} bytes`);
  }
  const labels = { direction: 'outbound', peer: 'researcher', way: 'request' };
  assert.equal(await planner.metric('ait_call_messages_total', labels), 201);
});
