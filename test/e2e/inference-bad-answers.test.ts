import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chat, errorOf, eventsOf, type PortError } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { beginEvents, chatAnswer, chatChunk, sendEvent, sendJson, type Answering } from '../support/model-server.ts';

type Bad = [status: number, code: string, answer: Answering];

const WHOLE: Readonly<Record<string, Bad>> = {
  'says nothing': [504, 'INFERENCE_TIMEOUT', () => undefined],
  'begins, and says nothing more': [
    504,
    'INFERENCE_TIMEOUT',
    (_question, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
  ],
  'hangs up': [503, 'INFERENCE_UNAVAILABLE', (_question, response) => response.destroy()],
  'answers with another model': [
    502,
    'INFERENCE_MODEL_CHANGED',
    (_q, response) => sendJson(response, chatAnswer('tiny')),
  ],
  'does not say which model it is': [
    502,
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => sendJson(response, { choices: [] }),
  ],
  'sends no JSON': [
    502,
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"model":"large",'),
  ],
  'sends a key twice': [
    502,
    'INFERENCE_ANSWER_INVALID',
    (_q, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"model":"tiny","model":"large","choices":[]}'),
  ],
  'sends a web page': [
    502,
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  ],
  'sends more than anybody wants': [
    502,
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => sendJson(response, chatAnswer('large', 'x'.repeat(100_000))),
  ],
  "refuses the sidecar's key, and says which it was": [
    503,
    'INFERENCE_UNAVAILABLE',
    (_q, response) => sendJson(response, { error: { message: 'wrong key: sk-secret', type: 'x' } }, 401),
  ],
};

/** After a good first event, so that the agent's stream has begun. */
const LATER: Readonly<Record<string, Bad>> = {
  'says nothing more': [200, 'INFERENCE_TIMEOUT', () => undefined],
  dies: [200, 'INFERENCE_UNAVAILABLE', (_q, response) => response.destroy()],
  'ends without its mark': [200, 'INFERENCE_ANSWER_INVALID', (_q, response) => response.end()],
  'goes on as another model': [
    200,
    'INFERENCE_MODEL_CHANGED',
    (_q, response) => sendEvent(response, chatChunk('tiny', 'smuggled')),
  ],
  'sends an event that is none': [
    200,
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => void response.write('data: {"smuggled"\n\n'),
  ],
  'sends a line that is no field': [
    200,
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => void response.write('smuggled\n\n'),
  ],
  'sends an event without end': [
    200,
    'INFERENCE_ANSWER_INVALID',
    (_q, response) => void response.write(`data: smuggled${'x'.repeat(20_000)}`),
  ],
  'reports an error of its own': [
    200,
    'INFERENCE_UNAVAILABLE',
    (_q, response) => sendEvent(response, { error: { message: 'smuggled' } }),
  ],
};

test('what a model may not answer never reaches the agent, which gets a clear error instead', async (t) => {
  const { planner, model } = await plannerWithProvider(t, {
    inference: {
      limits: { answer_bytes: 65_536, event_bytes: 8192 },
      timeouts: { first_byte: '500ms', idle: '300ms' },
    },
  });
  for (const [what, [status, code, answer]] of Object.entries(WHOLE)) {
    await t.test(`the model ${what}: ${status} ${code}`, async () => {
      model.answer = answer;
      const reply = await chat(planner);
      assert.equal(reply.status, status, reply.text);
      assert.equal(errorOf(reply).code, code, reply.text);
      assert.doesNotMatch(reply.text, /sk-secret|tiny/);
    });
  }
  await t.test('the first event is by another model: the agent gets no stream at all', async () => {
    model.answer = (_q, response) => {
      beginEvents(response);
      sendEvent(response, chatChunk('tiny', 'smuggled'));
    };
    const reply = await chat(planner, { stream: true });
    assert.deepEqual([reply.status, errorOf(reply).code], [502, 'INFERENCE_MODEL_CHANGED']);
    assert.doesNotMatch(reply.text, /smuggled/);
  });
  for (const [what, [status, code, answer]] of Object.entries(LATER)) {
    await t.test(`in mid-stream the model ${what}: ${code}, and no mark of a whole answer`, async () => {
      model.answer = (question, response) => {
        beginEvents(response);
        sendEvent(response, chatChunk('large', 'Hello'));
        setImmediate(() => answer(question, response));
      };
      const reply = await chat(planner, { stream: true });
      assert.equal(reply.status, status, reply.text);
      const events = eventsOf(reply);
      assert.equal(events.length, 2, reply.text);
      assert.match(events[0] ?? '', /Hello/);
      const { error } = JSON.parse(events[1] ?? '') as { error: PortError };
      assert.equal(error.code, code);
      assert.doesNotMatch(reply.text, /smuggled|\[DONE\]/);
    });
  }
  await t.test("the model's own error is passed on, without its words about anything else", async () => {
    model.answer = (_q, response) =>
      sendJson(response, { error: { message: 'slow down', type: 'rate_limit', code: 'busy', secret: 'x' } }, 429);
    const reply = await chat(planner);
    assert.equal(reply.status, 429);
    assert.deepEqual(
      [errorOf(reply).message, errorOf(reply).code, errorOf(reply)['secret']],
      ['slow down', 'busy', undefined],
    );
  });
  assert.equal(await planner.metric('ait_inference_in_flight'), 0, 'nothing is left hanging');
  assert.equal(
    await planner.metric('ait_inference_requests_total', { outcome: 'INFERENCE_MODEL_CHANGED', model: 'large' }),
    3,
  );
});
