const HASH = `sha256:${'ab'.repeat(32)}`;

/** A policy as people write it: planner may call researcher. */
export const POLICY: Readonly<Record<string, string>> = {
  'agents/planner.yaml': agentYaml('planner'),
  'agents/researcher.yaml': agentYaml('researcher'),
  'agents/stranger.yaml': agentYaml('stranger'),
  'baselines/planner-v1.yaml': baselineYaml('planner-v1', 'planner'),
  'baselines/researcher-v1.yaml': baselineYaml('researcher-v1', 'researcher'),
  'baselines/stranger-v1.yaml': baselineYaml('stranger-v1', 'stranger'),
  'grants/planner.yaml': 'kind: Grant\nfrom: planner\nto: researcher\n',
};

export function agentYaml(id: string, lifecycle = 'active'): string {
  return `kind: Agent\nid: ${id}\nlifecycle: ${lifecycle}\nsponsor:\n  id: u-${id}\n  name: Ada Lovelace\n  email: ada@acme.example\n`;
}

export function baselineYaml(id: string, agent: string, state = 'approved'): string {
  return `kind: Baseline
id: ${id}
agent: ${agent}
state: ${state}
approved_by: Ada Lovelace
approved_at: 2026-01-31T12:00:00Z
digests:
  system_prompt:
    prompts:
      main: { hash: '${HASH}', canonicalization: ait-text-1 }
  knowledge_base: not_applicable
  model: { provider: acme, id: large, version: '1' }
  tools: not_applicable
`;
}

/** A measurement that the baselines above approve. */
export const MEASUREMENT = {
  system_prompt: { prompts: { main: { hash: HASH, canonicalization: 'ait-text-1' } }, assurance: 'at_rest' },
  knowledge_base: null,
  model: { provider: 'acme', id: 'large', version: '1', assurance: 'declared' },
  tools: null,
} as const;
