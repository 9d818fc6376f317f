import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { meshBefore } from '../support/mesh-before.ts';
import { ScriptedCaller, ScriptedServer } from '../support/scripted-grpc.ts';
import { within } from '../support/within.ts';

test('grpc-js on both sides, through two sidecars: who cancels is heard on the other side', async (t) => {
  const server = await ScriptedServer.start(t);
  const caller = new ScriptedCaller(t, await meshBefore(t, server.address));
  const cancelledAtServer = (call: NodeJS.EventEmitter) =>
    within(once(call, 'cancelled'), 'the server notices the cancellation');

  await t.test('the client, a unary call', async () => {
    const { call, outcome } = caller.unary(Buffer.from('x'));
    const { call: taken } = await server.unary.take();
    const noticed = cancelledAtServer(taken);
    call.cancel();
    assert.equal((await outcome).status.code, status.CANCELLED);
    await noticed;
  });

  await t.test('the client, in the middle of what it streams', async () => {
    const { call, outcome } = caller.collect();
    call.write(Buffer.from('x'));
    const { call: taken } = await server.collect.take();
    const [heard] = (await once(taken, 'data')) as [Buffer];
    assert.equal(heard.toString(), 'x');
    const noticed = cancelledAtServer(taken);
    call.cancel();
    assert.equal((await outcome).status.code, status.CANCELLED);
    await noticed;
  });

  await t.test('the client, in the middle of what the server streams', async () => {
    const { call, outcome } = caller.list(Buffer.from('x'));
    const taken = await server.list.take();
    const noticed = cancelledAtServer(taken);
    taken.write(Buffer.from('one'));
    await once(call, 'data');
    call.cancel();
    const { messages, status: ended } = await outcome;
    assert.deepEqual(messages, [Buffer.from('one')]);
    assert.equal(ended.code, status.CANCELLED);
    await noticed;
  });

  await t.test('the client, a conversation that it has already ended on its side', async () => {
    const { call, outcome } = caller.chat();
    call.end(Buffer.from('x'));
    const taken = await server.chat.take();
    const noticed = cancelledAtServer(taken);
    taken.write(Buffer.from('one'));
    await once(call, 'data');
    call.cancel();
    assert.equal((await outcome).status.code, status.CANCELLED);
    await noticed;
  });

  await t.test('the client, before the server can have seen the call', async () => {
    const { call, outcome } = caller.unary(Buffer.from('never mind'));
    call.cancel();
    assert.equal((await outcome).status.code, status.CANCELLED);
    const after = caller.unary(Buffer.from('but this'));
    const { call: taken, answer } = await server.unary.take();
    // Whether the cancelled one got as far as this is a race that both may win.
    if (taken.request.toString() === 'never mind') {
      const next = await server.unary.take();
      assert.equal(next.call.request.toString(), 'but this');
      next.answer(null, Buffer.from('y'));
    } else answer(null, Buffer.from('y'));
    assert.deepEqual((await after.outcome).messages, [Buffer.from('y')]);
  });

  await t.test('the server, each type of call', async () => {
    const metadata = new Metadata();
    metadata.set('x-why', 'no more time');
    const error = { code: status.CANCELLED, details: 'by the server', metadata };
    const outcomes = [
      async () => {
        const { outcome } = caller.unary(Buffer.from('x'));
        (await server.unary.take()).answer(error);
        return outcome;
      },
      async () => {
        const { call, outcome } = caller.collect();
        call.write(Buffer.from('x'));
        const { call: taken, answer } = await server.collect.take();
        await once(taken, 'data');
        answer(error);
        return outcome;
      },
      async () => {
        const { call, outcome } = caller.list(Buffer.from('x'));
        const taken = await server.list.take();
        taken.write(Buffer.from('one'));
        await once(call, 'data');
        taken.emit('error', error);
        return outcome;
      },
      async () => {
        const { call, outcome } = caller.chat();
        call.write(Buffer.from('x'));
        const taken = await server.chat.take();
        await once(taken, 'data');
        taken.emit('error', error);
        return outcome;
      },
    ];
    for (const [type, make] of outcomes.entries()) {
      const { status: ended } = await make();
      assert.equal(ended.code, status.CANCELLED, `type ${type}`);
      assert.equal(ended.details, 'by the server', `type ${type}`);
      assert.deepEqual(ended.metadata.get('x-why'), ['no more time'], `type ${type}`);
    }
  });

  await t.test('a hundred cancelled one after the other cost neither connection nor window', async () => {
    for (let n = 0; n < 100; n += 1) {
      const { call, outcome } = caller.chat();
      // More than the window of the connection in all, and none of it is read.
      call.write(Buffer.alloc(4_096, n));
      const taken = await server.chat.take();
      const noticed = cancelledAtServer(taken);
      call.cancel();
      assert.equal((await outcome).status.code, status.CANCELLED);
      await noticed;
    }
    const { outcome } = caller.unary(Buffer.alloc(200_000, 'x'));
    const { call, answer } = await server.unary.take();
    assert.equal(call.request.length, 200_000);
    answer(null, call.request);
    assert.ok((await outcome).messages[0]?.equals(Buffer.alloc(200_000, 'x')));
  });
});
