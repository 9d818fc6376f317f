import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connectivityState, Metadata, status } from '@grpc/grpc-js';
import { freePort } from '../support/debian-program.ts';
import { FrameTap } from '../support/frame-tap.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { startMesh } from '../support/mesh.ts';
import { messagesOf, ScriptedCaller, ScriptedServer } from '../support/scripted-grpc.ts';
import { within } from '../support/within.ts';

const PING = 6;
const GOAWAY = 7;
const ACK = 1;
const RETRY_UNAVAILABLE = JSON.stringify({
  loadBalancingConfig: [],
  methodConfig: [
    {
      name: [{}],
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: '0.02s',
        maxBackoff: '0.1s',
        backoffMultiplier: 2,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    },
  ],
});

test('keepalive pings of client and server are answered, and nobody is told to calm down', async (t) => {
  const keepalive = { 'grpc.keepalive_time_ms': 50, 'grpc.keepalive_timeout_ms': 10_000 };
  const server = await ScriptedServer.start(t, keepalive);
  const tap = await FrameTap.start(t, server.address);
  const caller = new ScriptedCaller(t, await meshBefore(t, tap.address), keepalive);
  const { call, outcome } = caller.chat();
  call.write(Buffer.from('begin'));
  const taken = await server.chat.take();
  const heard = messagesOf(taken);
  // Not a byte of the call moves meanwhile. A ping is sent when the one before it was answered.
  for (const [from, other] of [
    ['client', 'server'],
    ['server', 'client'],
  ] as const) {
    const pings = await tap.sees(12, { from, type: PING, flags: 0 });
    const answers = await tap.sees(12, { from: other, type: PING, flags: ACK });
    assert.ok(pings.every(({ length, stream }) => length === 8 && stream === 0));
    assert.ok(answers.every(({ length, stream }) => length === 8 && stream === 0));
  }
  call.end(Buffer.from('end'));
  await once(taken, 'end');
  taken.write(Buffer.from('bye'));
  taken.end();
  const { messages, status: ended } = await outcome;
  assert.equal(Buffer.concat(heard).toString(), 'beginend');
  assert.equal(Buffer.concat(messages).toString(), 'bye');
  assert.equal(ended.code, status.OK);
  assert.equal(tap.connections, 1, 'nobody had to connect again');
  assert.deepEqual(
    tap.frames.filter(({ type }) => type === GOAWAY),
    [],
  );
});

test('a server that ends old connections: what is open finishes, what comes is called anew, nothing fails', async (t) => {
  const server = await ScriptedServer.start(t, {
    'grpc.max_connection_age_ms': 300,
    'grpc.max_connection_age_grace_ms': 20_000,
  });
  const tap = await FrameTap.start(t, server.address);
  const caller = new ScriptedCaller(t, await meshBefore(t, tap.address), { 'grpc.service_config': RETRY_UNAVAILABLE });
  server.answerUnary = ({ call, answer }) => answer(null, Buffer.concat([call.request, call.request]));

  const long = caller.chat();
  long.call.write(Buffer.from('before'));
  const taken = await server.chat.take();
  const heard = messagesOf(taken);

  let calls = 0;
  while (tap.connections < 4) {
    const text = Buffer.from(`call ${calls}, `);
    const { messages, status: ended } = await caller.unary(text).outcome;
    assert.equal(ended.code, status.OK, ended.details);
    assert.deepEqual(messages, [Buffer.concat([text, text])]);
    calls += 1;
  }
  t.diagnostic(`${calls} calls on ${tap.connections} connections`);
  const goaways = tap.frames.filter(({ from, type }) => from === 'server' && type === GOAWAY);
  assert.ok(new Set(goaways.map(({ connection }) => connection)).size >= 3);

  // The first connection has been asked to go long ago.
  long.call.end(Buffer.from(', after'));
  await once(taken, 'end');
  taken.write(Buffer.from('heard'));
  taken.end();
  const { messages, status: ended } = await long.outcome;
  assert.equal(Buffer.concat(heard).toString(), 'before, after');
  assert.equal(Buffer.concat(messages).toString(), 'heard');
  assert.equal(ended.code, status.OK);
});

test('a server that starts late: UNAVAILABLE for who will not wait, an answer for who will', async (t) => {
  const port = await freePort();
  const config = { app: { address: `127.0.0.1:${port}` } };
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: { app: false, start: false, config } },
  });
  const socket = mesh.agent('planner').socketTo('researcher');
  // It gets ready only when its agent's server is there.
  await mesh.agent('researcher').start({ awaitReady: false });
  const backoff = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 200 };
  const caller = new ScriptedCaller(t, socket, backoff);

  const { status: ended } = await caller.unary(Buffer.from('now')).outcome;
  assert.equal(ended.code, status.UNAVAILABLE);

  const metadata = new Metadata();
  metadata.setOptions({ waitForReady: true });
  const patient = caller.unary(Buffer.from('whenever'), { metadata });
  const another = new ScriptedCaller(t, socket, backoff);
  const ready = new Promise<void>((resolve, reject) => {
    another.client.waitForReady(Date.now() + 20_000, (error) => (error === undefined ? resolve() : reject(error)));
  });
  // It has failed at least once before the server is there.
  await within(tried(another), 'a failed attempt to connect');

  const server = await ScriptedServer.start(t, {}, port);
  const { call, answer } = await server.unary.take();
  assert.equal(call.request.toString(), 'whenever');
  answer(null, Buffer.from('at last'));
  const { messages, status: done } = await patient.outcome;
  assert.deepEqual(messages, [Buffer.from('at last')]);
  assert.equal(done.code, status.OK);
  await within(ready, 'the channel is ready');
  assert.equal(another.client.getChannel().getConnectivityState(false), connectivityState.READY);
});

/** Until an attempt to connect has failed. */
async function tried({ client }: ScriptedCaller): Promise<void> {
  const channel = client.getChannel();
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.TRANSIENT_FAILURE) return;
    await new Promise<void>((resolve) => {
      channel.watchConnectivityState(state, Infinity, () => resolve());
    });
  }
}
