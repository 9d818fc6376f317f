import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { FrameTap } from '../support/frame-tap.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { messagesOf, ScriptedCaller, ScriptedServer } from '../support/scripted-grpc.ts';

const FOUR_MB = 4 * 1024 * 1024;
const GZIP = 2;
const sha256 = (messages: readonly Buffer[]) => {
  const hash = createHash('sha256');
  for (const message of messages) hash.update(`${message.length}:`).update(message);
  return hash.digest('hex');
};

test('grpc-js on both sides, through two sidecars: large messages, and many', async (t) => {
  const server = await ScriptedServer.start(t);
  const socket = await meshBefore(t, server.address);
  const caller = new ScriptedCaller(t, socket);

  await t.test('4 MB there and another 4 MB back in one call', async () => {
    const [request, response] = [randomBytes(FOUR_MB), randomBytes(FOUR_MB)];
    const { outcome } = caller.unary(request);
    const { call, answer } = await server.unary.take();
    assert.ok(call.request.equals(request));
    answer(null, response);
    const { messages, status: ended } = await outcome;
    assert.ok(messages[0]?.equals(response));
    assert.equal(ended.code, status.OK);
  });

  await t.test('eight calls of 4 MB at once, both ways', async () => {
    const requests = Array.from({ length: 8 }, () => randomBytes(FOUR_MB));
    server.answerUnary = ({ call, answer }) => answer(null, Buffer.from(call.request).reverse());
    const outcomes = await Promise.all(requests.map((request) => caller.unary(request).outcome));
    server.answerUnary = undefined;
    for (const [n, { messages }] of outcomes.entries())
      assert.ok(messages[0]?.reverse().equals(requests[n]!), `call ${n}`);
  });

  await t.test('a stream of many messages of every size, both ways at once', async () => {
    // Around the sizes of frames and windows, and much smaller.
    const sizes = [0, 1, 4, 5, 100, 1_000, 16_378, 16_379, 16_380, 16_384, 65_530, 65_535, 65_536, 100_000];
    const sent = Array.from({ length: 20 }, () => sizes.map((size) => randomBytes(size))).flat();
    const { call, outcome } = caller.chat();
    for (const message of sent) call.write(message);
    call.end();
    const taken = await server.chat.take();
    const heard = messagesOf(taken);
    taken.on('data', (message: Buffer) => taken.write(message));
    await once(taken, 'end');
    taken.end();
    const { messages, status: ended } = await outcome;
    assert.equal(heard.length, sent.length);
    assert.equal(sha256(heard), sha256(sent));
    assert.equal(messages.length, sent.length);
    assert.equal(sha256(messages), sha256(sent));
    assert.equal(ended.code, status.OK);
  });

  await t.test('4 MB in messages of 100 bytes', async () => {
    const sent = Array.from({ length: FOUR_MB / 100 }, (_, n) => Buffer.from(String(n).padStart(100, '.')));
    const { outcome } = caller.list(Buffer.from('x'));
    const taken = await server.list.take();
    for (const message of sent) if (!taken.write(message)) await once(taken, 'drain');
    taken.end();
    const { messages } = await outcome;
    assert.equal(messages.length, sent.length);
    assert.equal(sha256(messages), sha256(sent));
  });

  await t.test('more than the client takes: RESOURCE_EXHAUSTED, and only for this call', async (t) => {
    const modest = new ScriptedCaller(t, socket, { 'grpc.max_receive_message_length': 1_000 });
    const { outcome } = modest.unary(Buffer.from('x'));
    (await server.unary.take()).answer(null, Buffer.alloc(100_000));
    assert.equal((await outcome).status.code, status.RESOURCE_EXHAUSTED);
    const after = modest.unary(Buffer.from('x'));
    (await server.unary.take()).answer(null, Buffer.alloc(900, 'y'));
    assert.ok((await after.outcome).messages[0]?.equals(Buffer.alloc(900, 'y')));
  });
});

test('gzip goes through as it is: the server reads what was written, and few bytes went over the wire', async (t) => {
  const server = await ScriptedServer.start(t);
  const tap = await FrameTap.start(t, server.address);
  const socket = await meshBefore(t, tap.address);
  const caller = new ScriptedCaller(t, socket, { 'grpc.default_compression_algorithm': GZIP });
  const text = Buffer.from('over and over again, '.repeat(50_000));
  const { call, outcome } = caller.chat();
  for (let n = 0; n < 3; n += 1) call.write(text);
  call.end();
  const taken = await server.chat.take();
  const heard = messagesOf(taken);
  await once(taken, 'end');
  taken.write(Buffer.from('read'));
  taken.end();
  const { messages, status: ended } = await outcome;
  assert.equal(ended.code, status.OK);
  assert.deepEqual(messages, [Buffer.from('read')]);
  assert.equal(sha256(heard), sha256([text, text, text]));
  const wire = tap.frames.filter(({ from, type }) => from === 'client' && type === 0);
  const bytes = wire.reduce((sum, { length }) => sum + length, 0);
  assert.ok(bytes > 3_000 && bytes < 100_000, `${bytes} bytes of DATA for ${3 * text.length}`);
});
