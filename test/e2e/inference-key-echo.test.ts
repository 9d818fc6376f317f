import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { askModel, chat, errorOf, eventsOf, type ModelReply, type PortError } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import {
  answerChat,
  beginEvents,
  chatAnswer,
  chatChunk,
  sendEvent,
  sendJson,
  type Answering,
} from '../support/model-server.ts';

const KEY = 'sk-proj-Zq7+/"aB9';
const ESCAPED = JSON.stringify(KEY).slice(1, -1);
/** No part of the key that could not be anything else. */
const TRACES = /Zq7|sk-proj|WnE3|aB9/;
const failure = (message: string) => ({ error: { message, type: 'server_error', code: 'boom' } });
const whole =
  (content: string): Answering =>
  (_question, response) =>
    sendJson(response, chatAnswer('large', content));
const withHeaders =
  (headers: Record<string, string>): Answering =>
  (question, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    answerChat(question, response);
  };

/** Places in which an ordinary server, or a proxy before it, may show whoever asked with what they asked. */
const WHOLE: Readonly<Record<string, Answering>> = {
  'the message of an error': (_q, response) => sendJson(response, failure(`cannot serve ${KEY}`), 500),
  'the code of an error': (_q, response) =>
    sendJson(response, { error: { message: 'no', type: 'x', code: KEY, param: null } }, 400),
  'an error that shows the request': (_q, response) =>
    sendJson(response, failure(JSON.stringify({ headers: { authorization: `Bearer ${KEY}` } })), 500),
  'an error that shows a URL': (_q, response) =>
    sendJson(response, failure(`GET /x?key=${encodeURIComponent(KEY)} failed`), 502),
  'an error in base64': (_q, response) =>
    sendJson(response, failure(`Basic ${Buffer.from(`api:${KEY}`).toString('base64')}`), 400),
  'an error with a refused key': (_q, response) => sendJson(response, failure(`Incorrect API key: ${KEY}`), 401),
  'the text of an answer': whole(`You asked with ${KEY}.`),
  'an answer, escaped in full': (_q, response) => {
    const text = Array.from(KEY, (each) => `\\u00${each.charCodeAt(0).toString(16)}`).join('');
    const body = JSON.stringify(chatAnswer('large', 'HERE')).replace('HERE', text);
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  },
  'the name of a member': (_q, response) => sendJson(response, { ...chatAnswer(), [KEY]: 1 }),
  'the name of the model': (_q, response) => sendJson(response, chatAnswer(KEY)),
  'a header that is passed on': withHeaders({ 'x-request-id': `req-${KEY}` }),
  'a header about limits': withHeaders({ 'x-ratelimit-scope': `Bearer ${KEY}` }),
};

/** The same in events, after a good first one. `written`: chunks as they leave the server. */
const EVENTS: Readonly<Record<string, readonly string[]>> = {
  'one event': [`data: ${JSON.stringify(chatChunk('large', `with ${KEY}`))}\n\n`],
  'the name of an event': [`event: ${KEY}\ndata: ${JSON.stringify(chatChunk('large', 'x'))}\n\n`],
  'the model of an event': [`data: ${JSON.stringify(chatChunk(KEY, 'x'))}\n\n`],
  'an error in the stream': [`data: ${JSON.stringify(failure(KEY))}\n\n`],
  'an event in single bytes': `data: ${JSON.stringify(chatChunk('large', KEY))}\n\n`.split(''),
  'many events, letter by letter': Array.from(KEY, (each) => `data: ${JSON.stringify(chatChunk('large', each))}\n\n`),
  'many events, in tokens': (KEY.match(/.{1,5}/g) ?? []).map(
    (each) => `data: ${JSON.stringify(chatChunk('large', each))}\n\n`,
  ),
};

async function plannerWithKey(t: TestContext) {
  const { planner, model, mesh } = await plannerWithProvider(t, { start: false });
  const file = join(mesh.folder, 'provider-key');
  await writeFile(file, `${KEY}\n`, { mode: 0o600 });
  const section = planner.config['inference'] as { provider: object };
  section.provider = { ...section.provider, api_key_file: file };
  await planner.start();
  return { planner, model };
}

/** A good event, then these chunks, each for itself, and what would come after them. */
async function sendSlowly(response: ServerResponse, chunks: readonly string[]): Promise<void> {
  beginEvents(response);
  sendEvent(response, chatChunk('large', 'Hello'));
  for (const chunk of [...chunks, `data: ${JSON.stringify(chatChunk('large', 'after'))}\n\n`]) {
    await new Promise((sent) => response.write(chunk, sent));
    await new Promise(setImmediate);
  }
  response.end('data: [DONE]\n\n');
}

/** Everything that reached the agent. */
const seen = (reply: ModelReply) => `${JSON.stringify(reply.headers)}\n${reply.text}`;

test('a provider that repeats the key it was asked with does not bring it to the agent', async (t) => {
  const { planner, model } = await plannerWithKey(t);
  for (const [where, answer] of Object.entries(WHOLE)) {
    await t.test(`in ${where}: the agent gets an error instead`, async () => {
      model.answer = answer;
      const reply = await chat(planner);
      assert.equal(model.questions.at(-1)?.headers.authorization, `Bearer ${KEY}`);
      const isKeyRefused = where.endsWith('refused key');
      assert.deepEqual(
        [reply.status, errorOf(reply).code],
        isKeyRefused ? [503, 'INFERENCE_UNAVAILABLE'] : [502, 'INFERENCE_KEY_ECHOED'],
      );
      assert.doesNotMatch(seen(reply), TRACES);
    });
  }
  await t.test('in a header that stays here: the answer goes on without it', async () => {
    model.answer = withHeaders({ 'x-debug': KEY, 'set-cookie': `k=${KEY}` });
    for (const stream of [false, true]) {
      const reply = await chat(planner, { stream });
      assert.equal(reply.status, 200);
      assert.doesNotMatch(seen(reply), TRACES);
    }
  });
  await t.test('in the head of a stream: the agent gets no stream at all', async () => {
    model.answer = withHeaders({ 'x-request-id': KEY });
    const reply = await chat(planner, { stream: true });
    assert.deepEqual([reply.status, errorOf(reply).code], [502, 'INFERENCE_KEY_ECHOED']);
    assert.doesNotMatch(seen(reply), TRACES);
  });
  await t.test('in the list of models', async () => {
    model.answer = (_q, response) =>
      sendJson(response, { object: 'list', data: [{ id: 'large', created: 1, owned_by: KEY }] });
    for (const path of ['/v1/models', '/v1/models/large']) {
      const reply = await askModel(planner, { method: 'GET', path });
      assert.deepEqual([reply.status, errorOf(reply).code], [502, 'INFERENCE_KEY_ECHOED']);
      assert.doesNotMatch(seen(reply), TRACES);
    }
  });
  for (const [where, written] of Object.entries(EVENTS)) {
    await t.test(
      `in ${where}: a stream that has begun ends with an error, and without the mark of a whole one`,
      async () => {
        model.answer = (_question, response) => void sendSlowly(response, written);
        const reply = await chat(planner, { stream: true });
        const events = eventsOf(reply);
        assert.match(events[0] ?? '', /Hello/);
        const { error } = JSON.parse(events.at(-1) ?? '') as { error: PortError };
        assert.equal(error.code, 'INFERENCE_KEY_ECHOED', reply.text);
        assert.doesNotMatch(seen(reply), /\[DONE\]|after/);
        assert.doesNotMatch(seen(reply), TRACES);
        assert.ok(textOf(events.slice(0, -1)).length <= 'Hello'.length + 3, textOf(events.slice(0, -1)));
      },
    );
  }
  await t.test('what only begins like the key arrives whole', async () => {
    const words = ['Keys begin with sk-', 'proj', '-, and go on', ' otherwise: sk-proj'];
    model.answer = (_q, response) => {
      beginEvents(response);
      for (const word of words) sendEvent(response, chatChunk('large', word));
      response.end('data: [DONE]\n\n');
    };
    const events = eventsOf(await chat(planner, { stream: true }));
    assert.equal(events.at(-1), '[DONE]');
    assert.equal(textOf(events.slice(0, -1)), words.join(''));
  });
  await t.test('the operator is told what happened, and nobody is told the key', async () => {
    const line = await planner.waitFor('model_call_refused', ({ code }) => code === 'INFERENCE_KEY_ECHOED');
    assert.match(String(line['detail']), /the key that the sidecar had sent/);
    const echoed = await planner.metric('ait_inference_requests_total', { outcome: 'INFERENCE_KEY_ECHOED' });
    assert.equal(echoed, Object.keys(WHOLE).length - 1 + 1 + 2 + Object.keys(EVENTS).length);
    const told = `${planner.sidecar.tail(2000)}${await planner.admin('/decisions')}${await planner.admin('/status')}`;
    for (const form of [KEY, ESCAPED, 'Zq7', encodeURIComponent(KEY)]) assert.ok(!told.includes(form), form);
  });
});

function textOf(events: readonly string[]): string {
  const parsed = events.map((event) => JSON.parse(event) as { choices: { delta: { content: string } }[] });
  return parsed.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
}
