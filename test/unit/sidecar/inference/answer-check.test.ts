import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAnswer, StreamCheck, type AnswerCheck } from '../../../../src/sidecar/inference/answer-check.ts';

const chat = { endpoint: 'chat_completions', models: new Set(['large', 'large-2026']) } as const;
const responses = { ...chat, endpoint: 'responses' } as const;
const codeOf = (check: AnswerCheck) => (check.ok ? undefined : check.rejection.code);
const chunk = (model: unknown, more: object = {}) => ({
  event: '',
  data: JSON.stringify({ model, choices: [], ...more }),
});
const named = (type: string, more: object = {}) => ({ event: type, data: JSON.stringify({ type, ...more }) });

test('an answer counts under the names of the approved model, and no other', () => {
  for (const model of ['large', 'large-2026']) {
    assert.equal(codeOf(checkAnswer(JSON.stringify({ model, choices: [] }), chat)), undefined);
  }
  for (const model of ['Large', 'large ', 'tiny', '']) {
    assert.equal(codeOf(checkAnswer(JSON.stringify({ model, choices: [] }), chat)), 'INFERENCE_MODEL_CHANGED', model);
  }
});

test('an answer that does not say whose it is, or is no answer, is refused', () => {
  for (const text of ['', '[]', '{}', '{"model":"large"}', '{"choices":[]}', '{"model":null,"choices":[]}']) {
    assert.equal(codeOf(checkAnswer(text, chat)), 'INFERENCE_ANSWER_INVALID', text);
  }
  assert.equal(codeOf(checkAnswer('{"model":"tiny","model":"large","choices":[]}', chat)), 'INFERENCE_ANSWER_INVALID');
  assert.equal(codeOf(checkAnswer('{"model":"large","choices":[]}', responses)), 'INFERENCE_ANSWER_INVALID');
});

test('usage is taken only where it is one', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 4 };
  const check = checkAnswer(JSON.stringify({ model: 'large', choices: [], usage }), chat);
  assert.deepEqual(check, { ok: true, usage: { prompt: 3, completion: 4 } });
  const lie = { prompt_tokens: -3, completion_tokens: 1e300 };
  assert.deepEqual(checkAnswer(JSON.stringify({ model: 'large', choices: [], usage: lie }), chat), { ok: true });
});

test('each event of a streamed chat names the model; the mark ends it, once, and not before it began', () => {
  const stream = new StreamCheck(chat);
  assert.equal(codeOf(stream.next(chunk('large'))), undefined);
  assert.equal(codeOf(stream.next(chunk('tiny'))), 'INFERENCE_MODEL_CHANGED');
  assert.equal(codeOf(stream.next(chunk(undefined))), 'INFERENCE_ANSWER_INVALID');
  assert.equal(stream.over, false);
  assert.equal(codeOf(stream.next({ event: '', data: '[DONE]' })), undefined);
  assert.equal(stream.over, true);
  assert.equal(codeOf(stream.next(chunk('large'))), 'INFERENCE_ANSWER_INVALID');
  assert.equal(codeOf(new StreamCheck(chat).next({ event: '', data: '[DONE]' })), 'INFERENCE_ANSWER_INVALID');
});

test('a streamed response names the model at its start and at its end', () => {
  const good = { response: { model: 'large' } };
  const stream = new StreamCheck(responses);
  assert.equal(codeOf(stream.next(named('response.created', good))), undefined);
  assert.equal(codeOf(stream.next(named('response.output_text.delta', { delta: 'x' }))), undefined);
  assert.equal(
    codeOf(stream.next(named('response.completed', { response: { model: 'tiny' } }))),
    'INFERENCE_MODEL_CHANGED',
  );
  assert.equal(
    codeOf(new StreamCheck(responses).next(named('response.output_text.delta'))),
    'INFERENCE_ANSWER_INVALID',
  );
  assert.equal(
    codeOf(new StreamCheck(responses).next({ event: 'a', data: '{"type":"b"}' })),
    'INFERENCE_ANSWER_INVALID',
  );
  const unnamed = new StreamCheck(responses);
  unnamed.next(named('response.created', good));
  assert.equal(codeOf(unnamed.next(named('response.completed'))), 'INFERENCE_ANSWER_INVALID');
});

test("the model's own error within a stream is one, and its words go nowhere", () => {
  for (const event of [named('error', { message: 'secret' }), chunk('large', { error: { message: 'secret' } })]) {
    for (const rules of [chat, responses]) {
      const check = new StreamCheck(rules).next(event);
      assert.equal(check.ok, false);
      assert.doesNotMatch(JSON.stringify(check), /secret/);
    }
  }
});
