import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, Agent, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import type OpenAI from 'openai';
import type { APIError } from 'openai';
import { chat, chatBody, errorOf, modelSocket, openCall, openaiFor } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { beginEvents, chatChunk, sendEvent } from '../support/model-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runAit } from '../support/run-ait.ts';
import type { TestAgent } from '../support/test-agent.ts';
import { within } from '../support/within.ts';

const LIMIT = 8;
const CODE = 'INFERENCE_TOO_MANY_CONNECTIONS';

/** Opens connections that say nothing, one after the other. */
async function fill(t: TestContext, planner: TestAgent, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let opened = 0; opened < count; opened += 1) {
    const socket = connect({ path: modelSocket(planner) });
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    sockets.push(socket);
  }
  return sockets;
}

const openAt = (planner: TestAgent, count: number) =>
  pollUntil(
    () => planner.metric('ait_inference_connections'),
    (open) => open === count,
  );
const refusedAt = (planner: TestAgent) => planner.metric('ait_connections_refused_total', { reason: CODE });

test('no more connections are open at the inference port than may be', async (t) => {
  const { planner, model } = await plannerWithProvider(t, {
    inference: { limits: { connections: LIMIT }, timeouts: { request: '60s' } },
  });
  const sockets = await fill(t, planner, LIMIT);
  await openAt(planner, LIMIT);

  await t.test('one more is told so, in words that clients know, and `explain` knows them, too', async () => {
    const before = model.questions.length;
    const reply = await chat(planner);
    assert.equal(reply.status, 503, reply.text);
    const error = errorOf(reply);
    assert.deepEqual([error.code, error.type], [CODE, 'ait_mesh']);
    assert.equal(reply.headers['ait-correlation-id'], error.correlation_id);
    assert.equal(reply.headers.connection, 'close');
    assert.equal(model.questions.length, before);
    const { code, output } = await runAit([
      'explain',
      '--id',
      error.correlation_id,
      '--admin',
      planner.addresses.admin,
    ]);
    assert.equal(code, 0, output);
    assert.match(output, /inference\.limits\.connections/);
  });
  await t.test('one more that says nothing does not stay', async () => {
    const [socket] = await fill(t, planner, 1);
    if (socket !== undefined) await within(once(socket.resume(), 'close'), 'the end of a connection that was refused');
  });
  await t.test('a flood is turned away, bounded in memory and log, while those that are open go on', async () => {
    const [first] = sockets;
    const from = planner.sidecar.lines.length;
    const before = await refusedAt(planner);
    const flood = 400;
    const closed: Promise<unknown>[] = [];
    for (let opened = 0; opened < flood; opened += 1) {
      const socket = connect({ path: modelSocket(planner) });
      socket.on('error', () => undefined);
      t.after(() => socket.destroy());
      closed.push(once(socket.resume(), 'close'));
      if (opened % 20 === 0) await once(socket, 'connect');
    }
    const inTheMiddle = callOver(first, chatBody(planner));
    assert.match(await within(inTheMiddle, 'an answer over a connection that was open'), /^HTTP\/1\.1 200 /);
    await within(Promise.all(closed), 'the end of the flood');
    assert.equal((await refusedAt(planner)) - before, flood, 'each is counted');
    const lines = planner.sidecar.lines.slice(from).filter((line) => line['code'] === CODE);
    assert.ok(lines.length <= 110, `${lines.length} lines`);
    assert.equal(await planner.metric('ait_inference_connections'), LIMIT);
  });
  await t.test('an end makes room, and a connection that is reused takes no more of it', async () => {
    sockets[1]?.destroy();
    await openAt(planner, LIMIT - 1);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (let asked = 0; asked < 3; asked += 1) {
      const request = httpRequest({
        socketPath: modelSocket(planner),
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { host: 'localhost', 'content-type': 'application/json' },
        agent,
      });
      request.end(chatBody(planner));
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      assert.equal(response.statusCode, 200);
      await once(response.resume(), 'end');
    }
    assert.equal(await planner.metric('ait_inference_connections'), LIMIT);
    agent.destroy();
  });
  await t.test('a stream that is under way when the port is full goes on to its end', async () => {
    await openAt(planner, LIMIT - 1);
    let finish: () => void = () => undefined;
    model.answer = (_question, response) => {
      beginEvents(response);
      sendEvent(response, chatChunk('large', 'Hello'));
      finish = () => response.end('data: [DONE]\n\n');
    };
    const call = openCall(planner, {});
    call.end(chatBody(planner, { stream: true }));
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    assert.equal((await chat(planner)).status, 503);
    finish();
    let text = '';
    for await (const chunk of response as AsyncIterable<Buffer>) text += chunk.toString();
    assert.match(text, /Hello[^]*\[DONE\]/);
  });
});

test('the official client reads at a loopback port why it got no connection, and gets one when there is room', async (t) => {
  const { planner } = await plannerWithProvider(t, {
    inference: { listen: '127.0.0.1:0', limits: { connections: 1 } },
  });
  const { inference } = planner.addresses as unknown as { inference: string };
  const [host = '', port] = inference.split(':');
  const only = connect({ host, port: Number(port) });
  t.after(() => only.destroy());
  await once(only, 'connect');
  await openAt(planner, 1);
  const client = openaiFor(planner);
  const { model, messages } = JSON.parse(chatBody(planner)) as OpenAI.ChatCompletionCreateParamsNonStreaming;
  await assert.rejects(
    client.chat.completions.create({ model, messages }),
    (error: APIError) => error.status === 503 && error.code === CODE,
  );
  only.destroy();
  await openAt(planner, 0);
  const answer = await client.chat.completions.create({ model, messages });
  assert.equal(answer.choices[0]?.message.content, 'Hello there');
});

/** The beginning of what is said to one call over a connection that is open. */
async function callOver(socket: Socket | undefined, body: string): Promise<string> {
  assert.ok(socket);
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
  socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString();
}
