import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAG, FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';
import { CallMesh } from '../support/call-mesh.ts';
import { frame } from '../support/http2-bytes.ts';
import { endlessBlock } from '../support/http2-floods.ts';
import { fieldsBlock, get, GRPC_CALL, type RawFields } from '../support/raw-http2.ts';

const MEGABYTE = 1024 * 1024;
/** The default of `calls.max_header_bytes`. */
const MAX_HEADER_BYTES = 65_536;
const OVERHEAD_OF_A_FIELD = 32;

const headersFrame = (stream: number, payload: Buffer) =>
  frame(FRAME_TYPE.headers, { flags: FLAG.endHeaders | FLAG.endStream, stream, payload });

/** One large entry is put into the table once, and named by one octet again and again. */
function bomb(stream: number, times: number): Buffer {
  const value = Buffer.alloc(3000, 'x');
  const length = Buffer.from([0x7f, ...varint(value.length - 127)]);
  const inserted = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from('b'), length, value]);
  return headersFrame(stream, Buffer.concat([fieldsBlock(GRPC_CALL), inserted, Buffer.alloc(times, 0x80 | 62)]));
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

test('headers that want to be more than a sidecar takes are refused, at the cost of what was sent', async (t) => {
  const world = await CallMesh.start(t);
  const { planner, researcher, taken } = world;
  assert.equal((await world.call(get('/before'))).head[':status'], '200');
  const memory = () => Promise.all([planner, researcher].map((each) => each.metric('process_resident_memory_bytes')));
  const before = await memory();

  await t.test('an HPACK bomb: each call is refused alone, 400 of them, 16 GB if anybody believed them', async () => {
    const connection = world.connect();
    for (let at = 0; at < 400; at += 1) {
      const stream = 1 + 2 * at;
      connection.send(bomb(stream, 13_000));
      const { head } = await connection.answer(stream);
      assert.deepEqual([head['grpc-status'], head['x-ait-refused']], ['8', 'CALL_HEADERS_TOO_LARGE']);
    }
    assert.equal((await connection.call(801, get('/after-bombs'))).head[':status'], '200', 'the table is in step');
    connection.socket.destroy();
  });

  for (const [name, bytes] of [
    ['CONTINUATIONs without end, of 10,000 bytes', 10_000],
    ['CONTINUATIONs without end, of one field', 1],
    ['CONTINUATIONs without end, of nothing', 0],
  ] as const) {
    await t.test(name, async () => {
      const connection = world.connect();
      await connection.hear(({ type }) => type === FRAME_TYPE.settings, 'SETTINGS');
      await connection.flood(endlessBlock(1, bytes));
      assert.equal(await connection.goaway(), 'ENHANCE_YOUR_CALM');
      await connection.closed;
    });
  }

  await t.test('headers below the limit pass, one byte beyond it does not', async () => {
    const size = (fields: RawFields) =>
      fields.reduce((sum, [name, value]) => sum + name.length + value.length + OVERHEAD_OF_A_FIELD, 0);
    const connection = world.connect();
    const room = MAX_HEADER_BYTES - size([...GRPC_CALL, ['pad', '']]);
    const parts = (length: number) => {
      const block = fieldsBlock([...GRPC_CALL, ['pad', 'x'.repeat(length)]]);
      const pieces: Buffer[] = [];
      for (let at = 0; at < block.length; at += 16_384) pieces.push(block.subarray(at, at + 16_384));
      return pieces;
    };
    const send = (stream: number, length: number) => {
      for (const [at, payload] of parts(length).entries()) {
        const last = (at + 1) * 16_384 >= length;
        const type = at === 0 ? FRAME_TYPE.headers : FRAME_TYPE.continuation;
        const flags = (at === 0 ? FLAG.endStream : 0) | (last ? FLAG.endHeaders : 0);
        connection.send(frame(type, { flags, stream, payload }));
      }
    };
    // Well below: the sidecars, and the server's own limit, want room for what is added on the way.
    send(1, room - 2048);
    assert.equal((await connection.answer(1)).trailers['grpc-status'], '0');
    send(3, room + 1);
    const { head } = await connection.answer(3);
    assert.deepEqual([head['grpc-status'], head['x-ait-refused']], ['8', 'CALL_HEADERS_TOO_LARGE']);
    connection.socket.destroy();
  });

  await t.test('a string that claims four gigabytes, an index beyond the table: COMPRESSION_ERROR', async () => {
    for (const block of [
      Buffer.from([0, 1, 0x61, 0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f]),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
      Buffer.from([0x80 | 62]),
      Buffer.from([0x3f, 0xff, 0xff, 0x7f]),
    ]) {
      const connection = world.connect();
      connection.send(headersFrame(1, block));
      assert.equal(await connection.goaway(), 'COMPRESSION_ERROR', block.toString('hex'));
      await connection.closed;
    }
  });

  for (const [at, bytes] of (await memory()).entries()) {
    const grown = bytes - (before[at] ?? 0);
    assert.ok(grown < 96 * MEGABYTE, `grown by ${grown} bytes`);
  }
  assert.equal((await world.call(get('/still'))).head[':status'], '200');
  assert.deepEqual(
    taken.map(({ headers }) => headers[':path']),
    ['/before', '/after-bombs', '/interop.Test/Unary', '/still'],
  );
});
