import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { examplePlan, copyExampleAgent } from '../../../../src/cli/dev/example-plan.ts';
import {
  approveService,
  inferenceSection,
  writeServiceConfig,
} from '../../../../src/cli/mesh-runner/inference-files.ts';
import { approveUnknownAgents } from '../../../../src/cli/mesh-runner/mesh-files.ts';
import { modelVariables } from '../../../../src/cli/mesh-runner/model-variables.ts';
import { prepareLayout } from '../../../../src/cli/mesh-runner/mesh-layout.ts';
import type { MeshPlan } from '../../../../src/cli/mesh-runner/mesh-plan.ts';

const folder = mkdtempSync(join(tmpdir(), 'ait-inference-files-'));
after(() => rmSync(folder, { recursive: true }));

function prepared(name: string) {
  const agents = ['planner', 'researcher'] as const;
  const layout = prepareLayout(join(folder, name), agents);
  const folderOf = (agent: string): string => join(layout.agents, agent);
  for (const agent of agents) copyExampleAgent(agent, folderOf(agent));
  return { layout, plan: examplePlan({ folderOf, debugSocketOf: (agent) => layout.socket(agent, 'debug') }) };
}

const provided: MeshPlan['inference'] = {
  kind: 'provider',
  provider: { base_url: 'https://models.example/v1', model_map: {} },
};

test('the service has the models that are approved, whatever the files of the agents say by now', async () => {
  const { layout, plan } = prepared('models');
  const input = { layout, plan, authority: '127.0.0.1:17100', listen: '127.0.0.1:0' };
  const models = () => (parse(readFileSync(writeServiceConfig(input), 'utf8')) as { models: object[] }).models;
  assert.deepEqual(models(), [{ id: 'simulated', version: '1' }]);
  await approveUnknownAgents(layout, plan);
  writeFileSync(join(layout.agents, 'planner/model.json'), '{ "provider": "x", "id": "other", "version": "9" }');
  assert.deepEqual(models(), [
    { id: 'planner-large', version: '2026-01-15' },
    { id: 'researcher-small', version: '2026-01-15' },
  ]);
});

test('the approval of simulated evidence says loudly what it is', async () => {
  const { layout, plan } = prepared('policy');
  await approveService(layout, plan);
  const text = readFileSync(join(layout.policy, 'inference/default.yaml'), 'utf8');
  assert.match(text, /^# .*\n#\n# SIMULATED evidence is accepted here\. It proves nothing about hardware/);
  const { agents, measurements, evidence_roots: roots, ...policy } = parse(text) as Record<string, unknown[]>;
  assert.deepEqual(policy, { kind: 'InferenceService', id: 'default', accept_simulated_evidence: true });
  assert.deepEqual(agents, ['planner', 'researcher']);
  assert.equal(measurements?.length, 1);
  assert.equal(roots?.length, 1);
});

test('where a provider is named, no service is approved and none is asked for', async () => {
  const { layout, plan } = prepared('provider');
  const other = { ...plan, inference: provided };
  await approveService(layout, other);
  assert.throws(() => readFileSync(join(layout.policy, 'inference/default.yaml')), { code: 'ENOENT' });
  assert.deepEqual(inferenceSection(other, { listen: '127.0.0.1:0', service: undefined }), {
    listen: '127.0.0.1:0',
    agent_only: true,
    provider: provided.provider,
  });
});

test('no sidecar is configured before the service has an address', () => {
  const { plan } = prepared('early');
  assert.throws(() => inferenceSection(plan, { listen: '127.0.0.1:0', service: undefined }), TypeError);
});

test('an agent gets an address and a key that opens nothing', () => {
  const { OPENAI_BASE_URL, OPENAI_API_KEY } = modelVariables('127.0.0.1:4711');
  assert.equal(OPENAI_BASE_URL, 'http://127.0.0.1:4711/v1');
  assert.match(OPENAI_API_KEY ?? '', /^not-a-key/);
});
