import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askModel, chat, errorOf, eventsOf, promptOf, type PortError } from '../support/model-caller.ts';
import { plannerWithService } from '../support/model-mesh.ts';
import {
  answerChat,
  beginEvents,
  chatAnswer,
  chatChunk,
  sendEvent,
  sendJson,
  type Answering,
} from '../support/model-server.ts';
import { pollUntil } from '../support/poll-until.ts';

type Fault = [code: string, answer: Answering];

/** What a service that has proven itself may do all the same. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'says nothing': ['INFERENCE_TIMEOUT', () => undefined],
  dies: ['INFERENCE_UNAVAILABLE', (_q, response) => response.destroy()],
  'answers with another model': ['INFERENCE_MODEL_CHANGED', (_q, response) => sendJson(response, chatAnswer('tiny'))],
  'sends no JSON': [
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('smuggled'),
  ],
};

/** The same after a good first event. */
const LATER: Readonly<Record<string, Fault>> = {
  'says nothing more': ['INFERENCE_TIMEOUT', () => undefined],
  dies: ['INFERENCE_UNAVAILABLE', (_q, response) => response.destroy()],
  'goes on as another model': [
    'INFERENCE_MODEL_CHANGED',
    (_q, response) => sendEvent(response, chatChunk('tiny', 'smuggled')),
  ],
  'sends an event that is none': [
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => void response.write('data: {"smuggled"\n\n'),
  ],
  'ends without its mark': ['INFERENCE_ANSWER_INVALID', (_q, response) => response.end()],
};

const named = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
const CREATED = named('response.created', { response: { model: 'large', output: [] } });
const DELTA = named('response.output_text.delta', { delta: 'Hello' });

/** What comes of a stream of the Responses API after a good beginning. */
const RESPONSES: Readonly<Record<string, [code: string, rest: string]>> = {
  'ends as another model': [
    'INFERENCE_MODEL_CHANGED',
    named('response.completed', { response: { model: 'tiny', output: [] } }),
  ],
  'ends without a model': ['INFERENCE_ANSWER_INVALID', named('response.completed', {})],
  'sends an event of another name than its type': [
    'INFERENCE_ANSWER_INVALID',
    'event: response.created\ndata: {"type":"smuggled"}\n\n',
  ],
  'reports an error': ['INFERENCE_UNAVAILABLE', named('error', { message: 'smuggled' })],
  'ends too soon': ['INFERENCE_ANSWER_INVALID', ''],
};

test('a proven service that fails its agent is told apart from one that answers, and hurts no later call', async (t) => {
  const { planner, service } = await plannerWithService(t, {
    inference: { timeouts: { first_byte: '500ms', idle: '300ms' } },
  });
  await planner.waitFor('sidecar_ready');
  const lastError = (text: string): PortError =>
    (JSON.parse(eventsOf({ status: 200, headers: {}, text }).at(-1) ?? '') as { error: PortError }).error;

  for (const [what, [code, answer]] of Object.entries(FAULTS)) {
    await t.test(`it ${what}: ${code}`, async () => {
      service.answer = answer;
      const reply = await chat(planner);
      assert.equal(errorOf(reply).code, code, reply.text);
      assert.doesNotMatch(reply.text, /tiny|smuggled/);
    });
  }
  for (const [what, [code, answer]] of Object.entries(LATER)) {
    await t.test(`in mid-stream it ${what}: ${code}`, async () => {
      service.answer = (question, response) => {
        beginEvents(response);
        sendEvent(response, chatChunk('large', 'Hello'));
        setImmediate(() => answer(question, response));
      };
      const reply = await chat(planner, { stream: true });
      assert.match(eventsOf(reply)[0] ?? '', /Hello/);
      assert.equal(lastError(reply.text).code, code, reply.text);
      assert.doesNotMatch(reply.text, /smuggled|\[DONE\]/);
    });
  }
  for (const [what, [code, rest]] of Object.entries(RESPONSES)) {
    await t.test(`a streamed response ${what}: ${code}`, async () => {
      service.answer = (_question, response) => {
        beginEvents(response);
        response.write(`${CREATED}${DELTA}`);
        setImmediate(() => response.end(rest));
      };
      const body = { model: 'large', instructions: promptOf(planner), input: 'Hello?', stream: true };
      const reply = await askModel(planner, { path: '/v1/responses', body: JSON.stringify(body) });
      assert.equal(reply.status, 200, reply.text);
      assert.match(reply.text, /Hello/);
      assert.equal(lastError(reply.text).code, code, reply.text);
      assert.doesNotMatch(reply.text, /smuggled|tiny/);
    });
  }
  await t.test('nothing hangs, and the next call is answered', async () => {
    service.answer = answerChat;
    assert.equal((await chat(planner)).status, 200);
    await pollUntil(
      () => planner.metric('ait_inference_in_flight'),
      (count) => count === 0,
    );
  });
  await t.test('it is gone: PEER_UNREACHABLE', async () => {
    service.stop();
    const reply = await chat(planner);
    assert.deepEqual([reply.status, errorOf(reply).code], [503, 'PEER_UNREACHABLE'], reply.text);
  });
});
