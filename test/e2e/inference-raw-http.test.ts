import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { askModel, chat, chatBody, errorOf, modelSocket, openCall } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { answerChat, beginEvents, chatChunk, sendEvent } from '../support/model-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import type { TestAgent } from '../support/test-agent.ts';

const CALL = 'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';

/** What a caller can write that two readers of HTTP could understand differently, or that no client of the API sends. */
const TRICKS: Readonly<Record<string, (body: string) => string>> = {
  'two lengths': (body) => `${CALL}content-length: ${body.length}\r\ncontent-length: 1\r\n\r\n${body}`,
  'a length and chunks': (body) =>
    `${CALL}content-length: ${body.length}\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  'a length that is none': (body) => `${CALL}content-length: +${body.length}\r\n\r\n${body}`,
  'an encoding that is not undone': (body) =>
    `${CALL}transfer-encoding: gzip, chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  'a header with a bare line feed': (body) =>
    `${CALL}x: a\nhost: evil\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  'a header with a NUL': (body) => `${CALL}x: a\0b\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  'headers without end': (body) => `${CALL}x: ${'y'.repeat(20_000)}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  'no host': (body) =>
    `POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  'an expectation that nobody meets': (body) =>
    `${CALL}expect: a miracle\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  'a tunnel': () => 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: localhost\r\n\r\n',
  'another protocol': (body) =>
    `${CALL}connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\n{}${body}`,
  'HTTP/2 right away': () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a whole URL': (body) => `${CALL.replace('/v1', 'http://localhost/v1')}content-length: ${body.length}\r\n\r\n${body}`,
  'an escaped path': (body) => `${CALL.replace('/v1/', '/v1%2f')}content-length: ${body.length}\r\n\r\n${body}`,
  'a path with steps back': (body) =>
    `${CALL.replace('/v1/', '/v1/../v1/')}content-length: ${body.length}\r\n\r\n${body}`,
  'a path with a question': (body) =>
    `${CALL.replace('completions', 'completions?x=1')}content-length: ${body.length}\r\n\r\n${body}`,
  'a path in capitals': (body) =>
    `${CALL.replace('/v1/chat', '/V1/Chat')}content-length: ${body.length}\r\n\r\n${body}`,
};

/** Writes the bytes, then ends; what came back until the other side had enough. */
async function exchange(planner: TestAgent, bytes: string): Promise<string> {
  const socket = connect({ path: modelSocket(planner) });
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.end(bytes);
  await once(socket, 'close');
  return text;
}

test('no trick of HTTP carries an approved call, or anything else, past the port', async (t) => {
  const { planner, model } = await plannerWithProvider(t, {
    inference: { limits: { concurrent: 2 } },
  });
  for (const [what, trick] of Object.entries(TRICKS)) {
    await t.test(what, async () => {
      const before = model.questions.length;
      const text = await exchange(planner, trick(chatBody(planner)));
      assert.doesNotMatch(text, /^HTTP\/1\.1 2/, text);
      assert.equal(model.questions.length, before, 'nothing was forwarded');
    });
  }
  await t.test('headers of the agent stay here, but for those of its traces', async () => {
    const headers = {
      authorization: 'Bearer agent',
      cookie: 'a=b',
      'openai-organization': 'org-1',
      'x-forwarded-for': '10.0.0.1',
      connection: 'keep-alive, x-forwarded-for',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=b\tc=d',
    };
    assert.equal((await askModel(planner, { headers, body: chatBody(planner) })).status, 200);
    const names = Object.keys(model.questions.at(-1)?.headers ?? {}).toSorted();
    assert.deepEqual(names, [
      'accept',
      'accept-encoding',
      'connection',
      'content-length',
      'content-type',
      'host',
      'traceparent',
    ]);
  });
  await t.test('as many calls as may be are under way, and no more; an end makes room', async () => {
    const answers: ServerResponse[] = [];
    model.answer = (_question, response) => {
      answers.push(response);
      beginEvents(response);
      sendEvent(response, chatChunk('large', 'Hello'));
    };
    const begin = async () => {
      const call = openCall(planner, {});
      call.on('error', () => undefined);
      call.end(chatBody(planner, { stream: true }));
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      response.on('error', () => undefined).resume();
      return { call, response };
    };
    const [first, second] = [await begin(), await begin()];
    const before = model.questions.length;
    assert.equal(errorOf(await chat(planner)).code, 'INFERENCE_OVERLOADED');
    assert.equal(model.questions.length, before);
    first.call.destroy();
    await pollUntil(
      () => planner.metric('ait_inference_in_flight'),
      (count) => count === 1,
    );
    model.answer = answerChat;
    assert.equal((await chat(planner)).status, 200);
    answers[1]?.end('data: [DONE]\n\n');
    await once(second.response, 'end');
  });
  await t.test('a body in single bytes takes no more memory than it is long, many times over', async () => {
    const before = await planner.metric('process_resident_memory_bytes');
    const socket = connect({ path: modelSocket(planner) });
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.write(`${CALL}transfer-encoding: chunked\r\n\r\n`);
    const piece = Buffer.from('1\r\n \r\n'.repeat(16_384));
    for (let sent = 0; sent < 64; sent += 1) if (!socket.write(piece)) await once(socket, 'drain');
    const grown = (await planner.metric('process_resident_memory_bytes')) - before;
    assert.ok(grown < 120 * 1024 * 1024, `${Math.round(grown / 1024 / 1024)} MiB for one`);
    socket.destroy();
  });
});
