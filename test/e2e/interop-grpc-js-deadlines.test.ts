import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { meshBefore } from '../support/mesh-before.ts';
import { ScriptedCaller, ScriptedServer } from '../support/scripted-grpc.ts';
import { within } from '../support/within.ts';

/** Milliseconds left, as a server sees them. */
function left(deadline: Date | number): number {
  return Number(deadline) - Date.now();
}

test('grpc-js on both sides, through two sidecars: deadlines', async (t) => {
  const server = await ScriptedServer.start(t);
  const caller = new ScriptedCaller(t, await meshBefore(t, server.address));
  const inMs = (ms: number) => ({ options: { deadline: Date.now() + ms } });

  await t.test('the server sees how much time is left', async () => {
    for (const ms of [3_000, 30_000, 3_600_000]) {
      const { outcome } = caller.unary(Buffer.from('x'), inMs(ms));
      const { call, answer } = await server.unary.take();
      const seen = left(call.getDeadline());
      answer(null, Buffer.from('in time'));
      // A part of a second is lost to units, and some to the way.
      assert.ok(seen > ms - 2_500 && seen <= ms + 50, `${seen} of ${ms} ms are left`);
      const { messages, status: ended } = await outcome;
      assert.deepEqual(messages, [Buffer.from('in time')]);
      assert.equal(ended.code, status.OK);
    }
  });

  await t.test('without a deadline there is none', async () => {
    const { outcome } = caller.unary(Buffer.from('x'));
    const { call, answer } = await server.unary.take();
    assert.equal(call.getDeadline(), Infinity);
    answer(null, Buffer.from('y'));
    assert.equal((await outcome).status.code, status.OK);
  });

  await t.test('one that passes ends each type of call, on both sides', async () => {
    const calls = [
      async () => ({
        ...caller.unary(Buffer.from('x'), inMs(300)),
        taken: server.unary.take().then(({ call }) => call),
      }),
      async () => ({ ...caller.collect(inMs(300)), taken: server.collect.take().then(({ call }) => call) }),
      async () => ({ ...caller.list(Buffer.from('x'), inMs(300)), taken: server.list.take() }),
      async () => ({ ...caller.chat(inMs(300)), taken: server.chat.take() }),
    ];
    for (const [type, make] of calls.entries()) {
      const startedAt = performance.now();
      const { outcome, taken } = await make();
      const atServer = await taken;
      const noticed = atServer.cancelled ? Promise.resolve() : once(atServer, 'cancelled');
      const { messages, status: ended } = await outcome;
      assert.ok(performance.now() - startedAt >= 290, 'not before its time');
      assert.equal(ended.code, status.DEADLINE_EXCEEDED, `type ${type}: ${ended.details}`);
      assert.deepEqual(messages, []);
      await within(
        noticed.then(() => undefined),
        `the server notices that call ${type} is over`,
      );
      assert.equal(atServer.cancelled, true);
    }
  });

  await t.test('one that passes while answers come keeps what has come', async () => {
    const { call, outcome } = caller.list(Buffer.from('x'), inMs(1_000));
    const taken = await server.list.take();
    const first = once(call, 'data');
    taken.write(Buffer.from('one'));
    await first;
    const { messages, status: ended } = await outcome;
    assert.deepEqual(messages, [Buffer.from('one')]);
    assert.equal(ended.code, status.DEADLINE_EXCEEDED);
  });

  await t.test('afterwards the connection is as good as before', async () => {
    const { outcome } = caller.unary(Buffer.from('x'));
    (await server.unary.take()).answer(null, Buffer.from('well'));
    assert.deepEqual((await outcome).messages, [Buffer.from('well')]);
  });
});
