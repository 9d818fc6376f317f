import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chat } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import type { TestAgent } from '../support/test-agent.ts';

interface Assured {
  readonly measurement: Readonly<Record<string, { readonly assurance: string } | undefined>>;
}

async function assuranceOf(planner: TestAgent): Promise<Record<string, string | undefined>> {
  const { measurement } = (await planner.status()) as unknown as Assured;
  return Object.fromEntries(Object.entries(measurement).map(([dimension, value]) => [dimension, value?.assurance]));
}

const SEARCH = { tools: [{ type: 'function', function: { name: 'search', parameters: { type: 'object' } } }] };

test('where there is no other way to a model, what calls show is in_use, until the files change', async (t) => {
  const { planner } = await plannerWithProvider(t, { inference: { only_way_to_model: true } });
  assert.deepEqual((await assuranceOf(planner))['system_prompt'], 'declared');
  assert.equal((await chat(planner)).status, 200);
  const { system_prompt, knowledge_base, model, tools } = await assuranceOf(planner);
  assert.deepEqual([system_prompt, knowledge_base, model, tools], ['in_use', 'declared', 'in_use', 'declared']);
  assert.equal((await chat(planner, { more: SEARCH })).status, 200);
  assert.equal((await assuranceOf(planner))['tools'], 'in_use');
  await planner.files.writeKnowledge('Other facts.\n');
  await pollUntil(
    () => assuranceOf(planner),
    (assurance) => assurance['system_prompt'] === 'declared',
  );
});

test('without that statement nothing is in_use, however many calls match', async (t) => {
  const { planner } = await plannerWithProvider(t);
  assert.equal((await chat(planner)).status, 200);
  assert.equal((await assuranceOf(planner))['system_prompt'], 'declared');
});
