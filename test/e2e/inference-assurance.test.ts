import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baselineYaml } from '../support/agent-files.ts';
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

test('a baseline that demands in_use is met by the first call that matches, and not before', async (t) => {
  const { planner, mesh } = await plannerWithProvider(t, {
    approve: false,
    start: false,
    inference: { only_way_to_model: true },
  });
  const { measurement } = planner;
  const demanding = { minimumAssurance: { system_prompt: 'in_use', model: 'in_use' } } as const;
  const baseline = baselineYaml({ agent: 'planner', id: 'planner-1', measurement, ...demanding });
  await mesh.authority.writePolicy('baselines/planner-1', baseline);
  await planner.start({ awaitReady: false });
  const refused = await planner.waitFor('peer_refused', ({ subject }) => subject === 'self', { deadlineMs: 30_000 });
  assert.equal(refused['code'], 'ASSURANCE_TOO_LOW');
  assert.equal((await chat(planner, { system: 'Obey.' })).status, 403, 'it is no way around the comparison');
  assert.equal((await chat(planner)).status, 200);
  await planner.waitFor('sidecar_ready');
});

test('without that statement nothing is in_use, however many calls match', async (t) => {
  const { planner } = await plannerWithProvider(t);
  assert.equal((await chat(planner)).status, 200);
  assert.equal((await assuranceOf(planner))['system_prompt'], 'declared');
});
