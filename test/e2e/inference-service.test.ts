import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { checkEvidence } from '../../src/crypto/evidence.ts';
import { startInference } from '../support/inference.ts';

const QUESTION = [
  { role: 'system', content: 'You are a planner.' },
  { role: 'user', content: 'What next?' },
] as const;
const SEARCH = {
  name: 'search',
  parameters: {
    type: 'object',
    properties: { query: { type: 'string' }, limit: { type: 'integer' }, hint: { type: 'string' } },
    required: ['query', 'limit'],
  },
} as const;

test('the official client gets the same answer to the same prompt, whole and streamed, and is told that it is simulated', async (t) => {
  const mesh = await startInference(t);
  const connections = mesh.connections(await mesh.joinAgent());
  t.after(() => connections.destroy());
  const client = mesh.openai(connections);

  const models = await client.models.list();
  assert.deepEqual(
    models.data.map(({ id, owned_by }) => [id, owned_by]),
    [
      ['sim-small', 'simulated'],
      ['sim-large', 'acme'],
    ],
  );

  const ask = (model = 'sim-small') => client.chat.completions.create({ model, messages: [...QUESTION] });
  const [first, second, other] = [await ask(), await ask(), await ask('sim-large')];
  const text = first.choices[0]?.message.content ?? '';
  assert.match(text, /^Simulated answer: [a-z ]+$/);
  assert.equal(second.choices[0]?.message.content, text);
  assert.notEqual(other.choices[0]?.message.content, text);
  assert.match(first.system_fingerprint ?? '', /^simulated/);
  assert.equal(first.choices[0]?.finish_reason, 'stop');
  assert.equal(first.usage?.prompt_tokens, 6);
  assert.equal(first.usage?.completion_tokens, text.split(' ').length);

  const stream = await client.chat.completions.create({
    model: 'sim-small',
    messages: [...QUESTION],
    stream: true,
    stream_options: { include_usage: true },
  });
  let streamed = '';
  let usage;
  for await (const chunk of stream) {
    streamed += chunk.choices[0]?.delta.content ?? '';
    usage ??= chunk.usage ?? undefined;
  }
  assert.equal(streamed, text);
  assert.deepEqual(usage, first.usage);

  const cut = await client.chat.completions.create({
    model: 'sim-small',
    messages: [...QUESTION],
    max_completion_tokens: 3,
  });
  assert.equal(cut.choices[0]?.finish_reason, 'length');
  assert.equal(cut.choices[0]?.message.content, text.split(' ').slice(0, 3).join(' '));
  const stopped = await client.chat.completions.create({ model: 'sim-small', messages: [...QUESTION], stop: 'swer' });
  assert.equal(stopped.choices[0]?.message.content, 'Simulated an');
});

test('a prompt that asks for it has the model call a tool with arguments that its schema allows', async (t) => {
  const mesh = await startInference(t);
  const connections = mesh.connections(await mesh.joinAgent());
  t.after(() => connections.destroy());
  const client = mesh.openai(connections);
  const messages = [{ role: 'user', content: 'please call search now' }] as const;
  const tools = [{ type: 'function', function: SEARCH }] as const;

  const whole = await client.chat.completions.create({
    model: 'sim-small',
    messages: [...messages],
    tools: [...tools],
  });
  const call = whole.choices[0]?.message.tool_calls?.[0];
  assert.ok(call?.type === 'function');
  assert.equal(whole.choices[0]?.finish_reason, 'tool_calls');
  const args = JSON.parse(call.function.arguments) as { query: string; limit: number };
  assert.deepEqual(Object.keys(args), ['limit', 'query']);
  assert.equal(args.limit, 1);

  const stream = client.chat.completions.stream({ model: 'sim-small', messages: [...messages], tools: [...tools] });
  const final = await stream.finalChatCompletion();
  const streamed = final.choices[0]?.message.tool_calls?.[0];
  assert.ok(streamed?.type === 'function');
  assert.equal(streamed.function.arguments, call.function.arguments);

  const done = await client.chat.completions.create({
    model: 'sim-small',
    messages: [
      ...messages,
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: call.id, content: '3 hits' },
    ],
    tools: [...tools],
  });
  assert.match(done.choices[0]?.message.content ?? '', /^Simulated answer:/);
  const none = await client.chat.completions.create({
    model: 'sim-small',
    messages: [...messages],
    tools: [...tools],
    tool_choice: 'none',
  });
  assert.equal(none.choices[0]?.message.tool_calls, undefined);

  const response = await client.responses.create({
    model: 'sim-small',
    input: 'please call search now',
    tools: [{ type: 'function', strict: false, ...SEARCH }],
    store: false,
  });
  const item = response.output[0];
  assert.ok(item?.type === 'function_call');
  assert.equal(item.name, 'search');
});

test('responses are answered whole and streamed, and nothing of them is remembered', async (t) => {
  const mesh = await startInference(t);
  const connections = mesh.connections(await mesh.joinAgent());
  t.after(() => connections.destroy());
  const client = mesh.openai(connections);
  const body = { model: 'sim-small', instructions: 'You are a planner.', input: 'What next?', store: false } as const;

  const whole = await client.responses.create(body);
  assert.match(whole.output_text, /^Simulated answer:/);
  assert.equal(whole.status, 'completed');
  assert.deepEqual(whole.metadata, { simulated: 'true' });
  const chat = await client.chat.completions.create({ model: 'sim-small', messages: [...QUESTION] });
  assert.equal(whole.output_text, chat.choices[0]?.message.content);

  const types: string[] = [];
  let streamed = '';
  for await (const event of await client.responses.create({ ...body, stream: true })) {
    assert.equal(event.sequence_number, types.length);
    types.push(event.type);
    if (event.type === 'response.output_text.delta') streamed += event.delta;
    if (event.type === 'response.completed') assert.equal(event.response.output.length, 1);
  }
  assert.equal(types[0], 'response.created');
  assert.equal(types.at(-1), 'response.completed');
  assert.equal(streamed, whole.output_text);

  const cut = await client.responses.create({ ...body, max_output_tokens: 2 });
  assert.equal(cut.status, 'incomplete');
  for (const refused of [{ previous_response_id: 'resp_1' }, { store: true }, { background: true }]) {
    await assert.rejects(
      client.responses.create({ ...body, ...refused }),
      (error: { status?: number; code?: string }) => {
        assert.equal(error.status, 400);
        assert.equal(error.code, 'unsupported_value');
        return true;
      },
    );
  }
});

test('bad requests get an error in the shape that clients know, and the service goes on', async (t) => {
  const mesh = await startInference(t, { config: { limits: { body_bytes: 4096 } } });
  const connections = mesh.connections(await mesh.joinAgent());
  t.after(() => connections.destroy());
  const chat = (body: string) => mesh.ask(connections, '/v1/chat/completions', { method: 'POST', body });
  const valid = { model: 'sim-small', messages: [{ role: 'user', content: 'hi' }] };
  const json = (changes: object) => JSON.stringify({ ...valid, ...changes });
  const cases: readonly [string, number, string, string | null][] = [
    ['{"model":', 400, 'invalid_json', ''],
    ['{"model":"sim-small","model":"sim-large"}', 400, 'invalid_json', ''],
    ['[]', 400, 'invalid_json', ''],
    [json({ model: 'gpt-5' }), 404, 'model_not_found', 'model'],
    [json({ messages: [] }), 400, 'invalid_value', 'messages'],
    [json({ messages: [{ role: 'robot', content: 'x' }] }), 400, 'invalid_value', 'messages[0].role'],
    [
      json({ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }),
      400,
      'invalid_value',
      'messages[0].content[0].type',
    ],
    [json({ n: 2 }), 400, 'unsupported_value', 'n'],
    [json({ max_tokens: 0 }), 400, 'invalid_value', 'max_tokens'],
    [json({ stop: [''] }), 400, 'invalid_value', 'stop'],
    [
      json({ tools: [{ type: 'function', function: { name: 'a b' } }] }),
      400,
      'invalid_value',
      'tools[0].function.name',
    ],
    [json({ tool_choice: { type: 'function', function: { name: 'x' } } }), 400, 'invalid_value', 'tool_choice'],
    [json({ user: 'x'.repeat(5000) }), 413, 'request_too_large', null],
  ];
  for (const [body, status, code, param] of cases) {
    const { status: got, json: answer, headers } = await chat(body);
    const { error } = answer as { error: { message: string; type: string; code: string; param: string | null } };
    assert.deepEqual([got, error.code, error.param], [status, code, param], body.slice(0, 80));
    assert.equal(error.type, 'invalid_request_error');
    assert.equal(headers.get('ait-simulated'), 'true');
  }
  assert.equal((await mesh.ask(connections, '/v1/embeddings')).status, 404);
  assert.equal((await mesh.ask(connections, '/v1/chat/completions')).status, 405);
  assert.equal((await chat(json({}))).status, 200);
});

test('evidence answers the very nonce and the very connection, and a check by policy takes it', async (t) => {
  const mesh = await startInference(t);
  const connections = mesh.connections(await mesh.joinAgent());
  t.after(() => connections.destroy());
  const nonce = randomBytes(32).toString('base64url');
  const { json, tlsKey } = await mesh.ask(connections, `/v1/attestation?nonce=${nonce}`);
  const { evidence, simulated } = json as { evidence: string; simulated: boolean };
  assert.equal(simulated, true);
  const expected = { nonce, tlsKey, service: mesh.approved, now: Date.now() };
  const checked = checkEvidence(evidence, expected);
  assert.ok(checked.ok, JSON.stringify(checked));
  assert.deepEqual(checked.claims.models, ['sim-small', 'sim-large']);
  const strict = checkEvidence(evidence, {
    ...expected,
    service: { ...mesh.approved, acceptSimulatedEvidence: false },
  });
  assert.equal(strict.ok || strict.rejection.code, 'EVIDENCE_SIMULATED');
  const replayed = checkEvidence(evidence, { ...expected, nonce: randomBytes(32).toString('base64url') });
  assert.equal(replayed.ok || replayed.rejection.code, 'EVIDENCE_STALE');
  for (const query of ['', '?nonce=', '?nonce=abc', `?nonce=${nonce}=`, `?nonce=${nonce}&nonce=${nonce}`]) {
    const refused = await mesh.ask(connections, `/v1/attestation${query}`);
    assert.equal(refused.status, 400, query);
  }
});

test('a caller that hangs up stops the work', async (t) => {
  const mesh = await startInference(t, { config: { tokens_per_second: 50 } });
  const connections = mesh.connections(await mesh.joinAgent());
  t.after(() => connections.destroy());
  const stream = await mesh.openai(connections).chat.completions.create({
    model: 'sim-small',
    messages: [{ role: 'user', content: 'write 50000 words' }],
    stream: true,
  });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content === ' answer:') break;
  const aborted = 'ait_inference_service_requests_total{endpoint="chat_completions",outcome="aborted"} 1';
  let open: readonly string[] = [];
  const deadline = performance.now() + 5_000;
  do {
    open = await mesh.metric('ait_inference_service_');
  } while (!open.includes(aborted) && performance.now() < deadline);
  assert.ok(open.includes(aborted), open.join('\n'));
  assert.ok(open.includes('ait_inference_service_answers_open 0'), open.join('\n'));
});
