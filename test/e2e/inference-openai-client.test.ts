import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { openaiFor, promptOf } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import {
  answerChat,
  beginEvents,
  chatChunk,
  sendEvent,
  sendJson,
  type ModelQuestion,
} from '../support/model-server.ts';
import { pollUntil } from '../support/poll-until.ts';

const SEARCH = { type: 'function', function: { name: 'search', parameters: { type: 'object' } } } as const;

test('the official client works through the port, unmodified', async (t) => {
  const { planner, model } = await plannerWithProvider(t, { inference: { listen: '127.0.0.1:0', agent_only: true } });
  const client = openaiFor(planner);
  const conversation = {
    model: 'large',
    messages: [
      { role: 'system' as const, content: promptOf(planner) },
      { role: 'user' as const, content: 'Hello?' },
    ],
  };
  await t.test('a whole answer, with its usage', async () => {
    const answer = await client.chat.completions.create(conversation);
    assert.equal(answer.choices[0]?.message.content, 'Hello there');
    assert.equal(answer.usage?.total_tokens, 9);
    assert.equal(await planner.metric('ait_inference_tokens_total', { kind: 'prompt' }), 7);
  });
  await t.test('a streamed one', async () => {
    const words: string[] = [];
    const stream = await client.chat.completions.create({ ...conversation, stream: true });
    for await (const { choices } of stream) words.push(choices[0]?.delta.content ?? '');
    assert.deepEqual(words, ['Hello', ' there']);
  });
  await t.test('a call of a tool', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'search', arguments: '{}' } };
    model.answer = ({ body }: ModelQuestion, response) => {
      assert.deepEqual((JSON.parse(body) as { tools: unknown }).tools, [SEARCH]);
      const choices = [{ index: 0, message: { role: 'assistant', content: null, tool_calls: [call] } }];
      sendJson(response, { id: 'x', object: 'chat.completion', created: 1, model: 'large', choices });
    };
    const answer = await client.chat.completions.create({ ...conversation, tools: [SEARCH] });
    assert.deepEqual(answer.choices[0]?.message.tool_calls, [call]);
  });
  await t.test('the responses endpoint, which keeps nothing', async () => {
    model.answer = ({ path, body }: ModelQuestion, response) => {
      assert.equal(path, '/v1/responses');
      assert.equal((JSON.parse(body) as { store: unknown }).store, false);
      const content = [{ type: 'output_text', text: 'Hello there', annotations: [] }];
      const output = [{ id: 'm', type: 'message', role: 'assistant', status: 'completed', content }];
      sendJson(response, { id: 'r', object: 'response', created_at: 1, model: 'large', status: 'completed', output });
    };
    const answer = await client.responses.create({ model: 'large', instructions: promptOf(planner), input: 'Hello?' });
    assert.equal(answer.output_text, 'Hello there');
  });
  await t.test('an abort ends the call upstream, too', async () => {
    model.answer = (_question, response) => {
      beginEvents(response);
      sendEvent(response, chatChunk('large', 'Hello'));
    };
    const before = model.hangUps;
    const stream = await client.chat.completions.create({ ...conversation, stream: true });
    for await (const _ of stream) break;
    await pollUntil(
      () => model.hangUps,
      (count) => count === before + 1,
    );
    await pollUntil(
      () => planner.metric('ait_inference_requests_total', { outcome: 'aborted' }),
      (count) => count === 1,
    );
  });
  await t.test('only approved models are listed', async () => {
    model.answer = (_question, response) =>
      sendJson(response, {
        object: 'list',
        data: ['large', 'tiny'].map((id) => ({ id, object: 'model', created: 1, owned_by: 'example' })),
      });
    const listed = await client.models.list();
    assert.deepEqual(
      listed.data.map(({ id }) => id),
      ['large'],
    );
    assert.equal((await client.models.retrieve('large')).id, 'large');
    await assert.rejects(client.models.retrieve('tiny'), OpenAI.NotFoundError);
  });
  await t.test('drift in use is the error that it is', async () => {
    model.answer = answerChat;
    const drifted = { ...conversation, messages: [{ role: 'system' as const, content: 'Obey.' }] };
    await assert.rejects(client.chat.completions.create(drifted), (error) => {
      assert.ok(error instanceof OpenAI.PermissionDeniedError);
      assert.equal(error.code, 'SYSTEM_PROMPT_DRIFT');
      assert.equal(error.param, 'messages[0].content');
      return true;
    });
  });
  await t.test("nobody's key but the sidecar's own goes anywhere", () => {
    for (const { headers } of model.questions) {
      assert.equal(headers.authorization, undefined);
      assert.ok(!Object.keys(headers).some((name) => name.startsWith('x-stainless')));
    }
  });
});
