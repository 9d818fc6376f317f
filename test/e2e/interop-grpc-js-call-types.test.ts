import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { meshBefore } from '../support/mesh-before.ts';
import { messagesOf, ScriptedCaller, ScriptedServer } from '../support/scripted-grpc.ts';
import { within } from '../support/within.ts';

const texts = (messages: readonly Buffer[]) => messages.map((message) => message.toString());

test('grpc-js on both sides, through two sidecars: the four types of calls, whoever ends first', async (t) => {
  const server = await ScriptedServer.start(t);
  const caller = new ScriptedCaller(t, await meshBefore(t, server.address));

  await t.test('unary', async () => {
    const { outcome } = caller.unary(Buffer.from('question'));
    const { call, answer } = await server.unary.take();
    assert.equal(call.request.toString(), 'question');
    assert.equal(call.getPath(), '/interop.Test/Unary');
    answer(null, Buffer.from('answer'));
    const { messages, status: ended } = await outcome;
    assert.deepEqual(texts(messages), ['answer']);
    assert.equal(ended.code, status.OK);
  });

  await t.test('empty messages are messages', async () => {
    const { call, outcome } = caller.chat();
    for (let n = 0; n < 3; n += 1) call.write(Buffer.alloc(0));
    call.end();
    const taken = await server.chat.take();
    const heard = messagesOf(taken);
    await once(taken, 'end');
    for (let n = 0; n < 2; n += 1) taken.write(Buffer.alloc(0));
    taken.end();
    const { messages, status: ended } = await outcome;
    assert.deepEqual(texts(heard), ['', '', '']);
    assert.deepEqual(texts(messages), ['', '']);
    assert.equal(ended.code, status.OK);
  });

  await t.test('client streaming', async () => {
    const { call, outcome } = caller.collect();
    for (const text of ['a', 'b', 'c']) call.write(Buffer.from(text));
    call.end();
    const { call: taken, answer } = await server.collect.take();
    const heard = messagesOf(taken);
    await once(taken, 'end');
    answer(null, Buffer.concat(heard));
    assert.deepEqual(texts((await outcome).messages), ['abc']);
  });

  await t.test('client streaming, answered before the client has ended', async () => {
    const { call, outcome } = caller.collect();
    call.write(Buffer.from('enough'));
    const { call: taken, answer } = await server.collect.take();
    const [heard] = (await once(taken, 'data')) as [Buffer];
    answer(null, heard);
    const { messages, status: ended } = await outcome;
    assert.deepEqual(texts(messages), ['enough']);
    assert.equal(ended.code, status.OK);
  });

  await t.test('server streaming', async () => {
    const { outcome } = caller.list(Buffer.from('100'));
    const taken = await server.list.take();
    assert.equal(taken.request.toString(), '100');
    const numbers = Array.from({ length: 100 }, (_, n) => String(n));
    for (const number of numbers) taken.write(Buffer.from(number));
    taken.end();
    const { messages, status: ended } = await outcome;
    assert.deepEqual(texts(messages), numbers);
    assert.equal(ended.code, status.OK);
  });

  await t.test('server streaming of nothing', async () => {
    const { outcome } = caller.list(Buffer.from('0'));
    (await server.list.take()).end();
    const { messages, status: ended } = await outcome;
    assert.deepEqual(messages, []);
    assert.equal(ended.code, status.OK);
  });

  await t.test('both ways, in turns', async () => {
    const { call, outcome } = caller.chat();
    call.write(Buffer.from('0'));
    const taken = await server.chat.take();
    taken.on('data', (message: Buffer) => taken.write(Buffer.from(String(Number(message) + 1))));
    taken.once('end', () => taken.end());
    call.on('data', (message: Buffer) => {
      if (Number(message) < 39) call.write(Buffer.from(String(Number(message) + 1)));
      else call.end();
    });
    const { messages, status: ended } = await outcome;
    assert.deepEqual(
      texts(messages),
      Array.from({ length: 20 }, (_, n) => String(2 * n + 1)),
    );
    assert.equal(ended.code, status.OK);
  });

  await t.test('both ways, the client ends first: it still hears everything', async () => {
    const { call, outcome } = caller.chat();
    call.end(Buffer.from('go on without me'));
    const taken = await server.chat.take();
    const heard = messagesOf(taken);
    await once(taken, 'end');
    for (const text of ['after', 'your', 'end']) taken.write(Buffer.from(text));
    taken.end();
    const { messages, status: ended } = await outcome;
    assert.deepEqual(texts(heard), ['go on without me']);
    assert.deepEqual(texts(messages), ['after', 'your', 'end']);
    assert.equal(ended.code, status.OK);
  });

  await t.test('both ways, the server ends first: the caller has its status, and the connection lives on', async () => {
    const { call, outcome } = caller.chat();
    call.write(Buffer.from('first'));
    const taken = await server.chat.take();
    await once(taken, 'data');
    taken.write(Buffer.from('last word'));
    taken.end();
    const { messages, status: ended } = await outcome;
    assert.deepEqual(texts(messages), ['last word']);
    assert.equal(ended.code, status.OK);
    call.write(Buffer.from('into the void'));
    call.end();
    const after = caller.unary(Buffer.from('still there?'));
    (await server.unary.take()).answer(null, Buffer.from('yes'));
    assert.deepEqual(texts((await after.outcome).messages), ['yes']);
  });

  await t.test('headers come before the first message, and at once', async () => {
    const { call, outcome } = caller.chat();
    const seen = within(once(call, 'metadata'), 'the initial metadata');
    const taken = await server.chat.take();
    taken.sendMetadata(taken.metadata);
    await seen;
    taken.end();
    call.end();
    assert.equal((await outcome).status.code, status.OK);
  });
});

test('200 calls at once on one channel: each has its own answer', async (t) => {
  const server = await ScriptedServer.start(t);
  const caller = new ScriptedCaller(t, await meshBefore(t, server.address));
  const requests = Array.from({ length: 200 }, (_, n) => Buffer.from(`call ${n} `.repeat(1 + n * 5)));
  const outcomes = requests.map((request) => caller.unary(request).outcome);
  const taken = await Promise.all(requests.map(() => server.unary.take()));
  // Every call is open now; they are answered last first.
  for (const { call, answer } of taken.toReversed()) answer(null, Buffer.concat([call.request, call.request]));
  const answers = (await Promise.all(outcomes)).map(({ messages }) => messages[0]);
  for (const [n, request] of requests.entries()) {
    assert.ok(answers[n]?.equals(Buffer.concat([request, request])), `the answer to call ${n}`);
  }
});
