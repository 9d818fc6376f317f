import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openaiFor, promptOf } from '../support/model-caller.ts';
import { startMesh } from '../support/mesh.ts';
import { RealModel } from '../support/real-model.ts';

const LARGE = { id: 'large', version: '1' };

test('calls go through the port to the simulated service, and to no other than the approved one', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ait-model-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const model = new RealModel(mesh);
  t.after(() => model.stop());
  await model.configure([LARGE]);
  await model.approve(['planner']);
  await model.start();
  const planner = mesh.agent('planner');
  planner.config['inference'] = {
    listen: '127.0.0.1:0',
    agent_only: true,
    service: { address: model.address },
    attestation_interval: '1s',
  };
  await planner.start({ awaitReady: false });
  await planner.waitFor('sidecar_ready', () => true, { deadlineMs: 30_000 });
  const client = openaiFor(planner);
  const conversation = {
    model: 'large',
    messages: [
      { role: 'system' as const, content: promptOf(planner) },
      { role: 'user' as const, content: 'Hello?' },
    ],
  };
  let whole = '';
  await t.test('whole, and the same streamed', async () => {
    const answer = await client.chat.completions.create(conversation);
    whole = answer.choices[0]?.message.content ?? '';
    assert.ok(whole.length > 0);
    let streamed = '';
    const options = { ...conversation, stream: true, stream_options: { include_usage: true } } as const;
    for await (const chunk of await client.chat.completions.create(options)) {
      streamed += chunk.choices[0]?.delta.content ?? '';
    }
    assert.equal(streamed, whole);
    assert.ok((await planner.metric('ait_inference_tokens_total', { kind: 'completion' })) > 0);
  });
  await t.test('by the responses endpoint, streamed', async () => {
    const stream = await client.responses.create({
      model: 'large',
      instructions: promptOf(planner),
      input: 'Hello?',
      stream: true,
    });
    const types: string[] = [];
    for await (const { type } of stream) types.push(type);
    assert.equal(types[0], 'response.created');
    assert.equal(types.at(-1), 'response.completed');
  });
  await t.test('a tool, where the approved manifest has it', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'search', parameters: { type: 'object' } } }];
    const messages = [conversation.messages[0], { role: 'user' as const, content: 'call search' }] as const;
    const answer = await client.chat.completions.create({ model: 'large', messages: [...messages] as never, tools });
    const [call] = answer.choices[0]?.message.tool_calls ?? [];
    assert.equal(call?.type === 'function' && call.function.name, 'search');
  });
  await t.test('not one prompt goes to what was put in its place, with another measurement', async () => {
    const from = planner.sidecar.mark();
    await model.stop();
    await model.configure([LARGE, { id: 'other', version: '1' }]);
    await model.start();
    const refused = await planner.waitFor(
      'inference_service_refused',
      ({ code }) => code === 'EVIDENCE_MEASUREMENT_UNKNOWN',
      { from, deadlineMs: 30_000 },
    );
    assert.equal(refused['service'], 'spiffe://acme.example/inference/default');
    await assert.rejects(client.chat.completions.create(conversation), /launch measurement/);
  });
  await t.test('once that is approved, calls go on', async () => {
    const from = planner.sidecar.mark();
    await model.approve(['planner']);
    await planner.waitFor('inference_service_attested', () => true, { from, deadlineMs: 30_000 });
    const answer = await client.chat.completions.create(conversation);
    assert.equal(answer.choices[0]?.message.content, whole, 'the answers are the same: they depend on the call alone');
  });
});
