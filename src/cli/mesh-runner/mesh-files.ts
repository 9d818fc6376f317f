import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { agentNameOf, parseSpiffeId, parseTrustDomain } from '../../domain/agent-id.ts';
import { readPolicyFile } from '../../authority/policy/policy-objects.ts';
import { systemClock } from '../../platform/clock.ts';
import type { MeasureConfig, PromptSource } from '../../sidecar/measure/measure-config.ts';
import { slotsToJson } from '../../domain/prompt/slot.ts';
import { NOT_APPLICABLE } from '../../domain/state-objects.ts';
import { writeBaseline } from '../baseline/baseline-file.ts';
import { measureOnce } from '../baseline/measure-once.ts';
import { fileName, type MeshLayout } from './mesh-layout.ts';
import { DEFAULT_ADDRESS, type AgentPlan, type MeshPlan } from './mesh-plan.ts';

/** Who approves what is approved without being asked, so that it stands out in every list. */
export const AUTOMATIC_APPROVER = 'ait dev (automatic: for development only)';

/** Registers the agents and grants what the plan says they call. Files that are there are left alone. */
export function writePolicies(layout: MeshLayout, plan: MeshPlan): void {
  for (const { name, calls } of plan.agents) {
    const sponsor = { id: 'you', name: 'whoever started this mesh' };
    writeOnce(join(layout.policy, 'agents', `${fileName(name)}.yaml`), {
      kind: 'Agent',
      id: name,
      lifecycle: 'active',
      sponsor,
    });
    if (calls.length === 0) continue;
    writeOnce(join(layout.policy, 'grants', `${fileName(name)}.yaml`), {
      kind: 'Grant',
      from: name,
      to: calls.map(({ agent }) => agent),
    });
  }
}

/**
 * Approves, unasked, what is measured of the agents that have no baseline file yet.
 *
 * @returns the names of those agents.
 * @throws CannotMeasure
 */
export async function approveUnknownAgents(layout: MeshLayout, plan: MeshPlan): Promise<readonly string[]> {
  const folder = join(layout.policy, 'baselines');
  const known = agentsWithBaselines(folder, plan.trustDomain);
  const unknown = plan.agents.filter(({ name }) => !known.has(name));
  await Promise.all(
    unknown.map(async ({ name, measure }) => {
      const { measurement } = await measureOnce(measure);
      const { text } = writeBaseline({
        agent: name,
        approvedBy: AUTOMATIC_APPROVER,
        approvedAt: new Date(systemClock.now()).toISOString(),
        minimumAssurance: {},
        digests: measurement,
      });
      writeFileSync(join(folder, `${fileName(name)}-1.yaml`), text, { mode: 0o600 });
    }),
  );
  return unknown.map(({ name }) => name);
}

/** @returns the file's path. */
export function writeAuthorityConfig(layout: MeshLayout, plan: MeshPlan, listen: string): string {
  const path = join(layout.config, 'authority.yaml');
  writeYaml(path, {
    trust_domain: plan.trustDomain,
    listen,
    state_dir: layout.stateOf('authority'),
    policy_dir: layout.policy,
    operators_listen: '127.0.0.1:0',
    // In a mesh of two agents every change is a large one.
    impact_limit: 100,
    metrics_listen: '127.0.0.1:0',
  });
  return path;
}

export interface SidecarConfigInput {
  readonly layout: MeshLayout;
  readonly agent: AgentPlan;
  /** `host:port`. */
  readonly authority: string;
  readonly credentialFile: string;
  readonly inbound: string;
  /** The section `inference`. */
  readonly inference: Readonly<Record<string, unknown>>;
  /** Instead of what the authority knows, by agent. */
  readonly addresses?: Readonly<Record<string, string>>;
  /** Tells several sidecars of one agent apart. Default: the agent's name. */
  readonly instance?: string;
}

/** @returns the file's path. */
export function writeSidecarConfig(input: SidecarConfigInput): string {
  const { layout, agent, addresses = {}, instance = agent.name } = input;
  const path = join(layout.config, `${fileName(instance)}.yaml`);
  writeYaml(path, {
    state_dir: layout.stateOf({ sidecar: instance }),
    authority: { join_credential: input.credentialFile, address: input.authority },
    inbound: { listen: input.inbound },
    ...(agent.listen !== undefined && { app: { address: appAddress(layout, agent) } }),
    peers: agent.calls.map(({ agent: peer, listen }) => ({
      agent: peer,
      listen: listen === DEFAULT_ADDRESS ? layout.socket(instance, `to-${peer}`) : listen,
      ...(addresses[peer] !== undefined && { address: addresses[peer] }),
    })),
    admin: { socket: layout.adminSocket(instance) },
    metrics: { listen: '127.0.0.1:0' },
    timing: { drain: '1s' },
    inference: input.inference,
    measure: measureToYaml(agent.measure),
  });
  return path;
}

/** Where an agent has to listen. */
export function appAddress(
  layout: MeshLayout,
  { name, listen }: Pick<AgentPlan, 'name' | 'listen'>,
): string | undefined {
  return listen === DEFAULT_ADDRESS ? layout.socket(name, 'agent') : listen;
}

/** The section `measure` that {@link MeasureConfig} was read from, its paths absolute. */
export function measureToYaml(config: MeasureConfig): Record<string, unknown> {
  const { systemPrompt, knowledgeBase, model, tools, agentUid, agentGids } = config;
  const prompts = [...(systemPrompt ?? [])].map(([name, source]) => [name, promptToYaml(source)]);
  return {
    system_prompt: systemPrompt === null ? NOT_APPLICABLE : Object.fromEntries(prompts),
    knowledge_base: knowledgeBase ?? NOT_APPLICABLE,
    model: model ?? NOT_APPLICABLE,
    tools: tools ?? NOT_APPLICABLE,
    interval: `${config.intervalMs}ms`,
    max_prompt_bytes: config.maxPromptBytes,
    max_manifest_bytes: config.maxManifestBytes,
    ...(agentUid !== undefined && { agent_uid: agentUid }),
    ...(agentGids !== undefined && { agent_gids: [...agentGids] }),
    agent_cannot_write: config.agentCannotWrite,
  };
}

function promptToYaml(source: PromptSource): unknown {
  switch (source.kind) {
    case 'text':
      return source.sequence ? source.files : source.files[0];
    case 'template':
      return { file: source.files[0], slots: slotsToJson(source.slots) };
    case 'none':
      return { none: true };
  }
}

function agentsWithBaselines(folder: string, trustDomain: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const file of readdirSync(folder)) {
    if (!/\.ya?ml$/.test(file)) continue;
    const { records } = readPolicyFile(file, readFileSync(join(folder, file), 'utf8'), parseTrustDomain(trustDomain));
    for (const { object } of records) {
      if (object.kind === 'baseline') names.add(agentNameOf(parseSpiffeId(object.value.agent)));
    }
  }
  return names;
}

function writeOnce(path: string, document: object): void {
  if (!existsSync(path)) writeYaml(path, document);
}

function writeYaml(path: string, document: object): void {
  writeFileSync(path, stringify(document, { lineWidth: 0, aliasDuplicateObjects: false }), { mode: 0o600 });
}
