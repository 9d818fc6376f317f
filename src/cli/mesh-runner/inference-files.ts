import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { stringify } from 'yaml';
import { parseTrustDomain } from '../../domain/agent-id.ts';
import { isModelId } from '../../domain/inference/evidence.ts';
import { readPolicyFile } from '../../authority/policy/policy-objects.ts';
import { inferenceConfigSchema } from '../../inference/config.ts';
import { describeService, policyFor } from '../../inference/description.ts';
import { VERSION } from '../version.ts';
import type { MeshLayout } from './mesh-layout.ts';
import type { MeshPlan } from './mesh-plan.ts';

/** Name of the one service: `spiffe://<trust-domain>/inference/default`. */
export const SERVICE_NAME = 'default';

const POLICY_HEADER = `# Written by \`ait dev\` at each start.
#
# SIMULATED evidence is accepted here. It proves nothing about hardware: whoever runs the service can read every prompt.
# That is for development only; in production this file has no accept_simulated_evidence.
`;

interface ServedModel {
  readonly id: string;
  readonly version: string;
}

export interface ServiceConfigInput {
  readonly layout: MeshLayout;
  readonly plan: MeshPlan;
  /** `host:port`. */
  readonly authority: string;
  readonly listen: string;
}

/** @returns the file's path. */
export function writeServiceConfig(input: ServiceConfigInput): string {
  const path = join(input.layout.stateOf('inference'), 'inference.yaml');
  writeFileSync(path, stringify(serviceConfig(input)), { mode: 0o600 });
  return path;
}

/** Where the service's join credential is. */
export function serviceCredential(layout: MeshLayout): string {
  return join(layout.stateOf('inference'), 'join.credential');
}

/**
 * Approves the service that will be started, for every agent of the plan. Anew each time: it is measured with all of its
 * program, which another version of this package changes.
 *
 * @throws MeshError `FILE_UNREADABLE`
 */
export async function approveService(layout: MeshLayout, plan: MeshPlan): Promise<void> {
  if (plan.inference.kind !== 'simulated') return;
  const config = v.parse(inferenceConfigSchema, serviceConfig({ layout, plan, authority: NOWHERE, listen: ANYWHERE }));
  const described = await describeService({ config, folder: layout.root, version: VERSION });
  const agents = plan.agents.map(({ name }) => name);
  const policy = policyFor(described, { name: SERVICE_NAME, agents, acceptSimulated: true });
  writeFileSync(join(layout.policy, 'inference', `${SERVICE_NAME}.yaml`), `${POLICY_HEADER}${policy}`, { mode: 0o600 });
}

/**
 * The section `inference` of a sidecar's configuration. On one machine of one person, whoever opens the port counts as
 * the agent, so that drift in use is cut; that there is no other way to a model is not claimed.
 */
export function inferenceSection(
  { inference }: MeshPlan,
  { listen, service }: { readonly listen: string; readonly service: string | undefined },
): Record<string, unknown> {
  const shared = { listen, agent_only: true };
  if (inference.kind === 'provider') return { ...shared, provider: { ...inference.provider } };
  if (service === undefined) throw new TypeError('the inference service has to be started before its sidecars');
  return { ...shared, service: { name: SERVICE_NAME, address: service } };
}

const ANYWHERE = '127.0.0.1:0';
/** Stands for an address that is not known yet, and is no part of what is measured. */
const NOWHERE = '127.0.0.1:1';

function serviceConfig({ layout, plan, authority, listen }: ServiceConfigInput) {
  return {
    state_dir: layout.stateOf('inference'),
    authority: { join_credential: serviceCredential(layout), address: authority },
    listen,
    models: approvedModels(layout, plan),
    metrics: { listen: ANYWHERE },
    timing: { drain: '1s' },
  };
}

/** The models of all baselines on file: what is approved can be had. */
function approvedModels({ policy }: MeshLayout, { trustDomain }: MeshPlan): readonly ServedModel[] {
  const folder = join(policy, 'baselines');
  const models = new Map<string, ServedModel>();
  for (const file of readdirSync(folder).toSorted()) {
    if (!/\.ya?ml$/.test(file)) continue;
    const { records } = readPolicyFile(file, readFileSync(join(folder, file), 'utf8'), parseTrustDomain(trustDomain));
    for (const { object } of records) {
      if (object.kind !== 'baseline' || object.value.digests.model === null) continue;
      const { id, version } = object.value.digests.model;
      if (isModelId(id)) models.set(id, { id, version });
    }
  }
  // There is no service without a model; agents without one have no use for it either.
  return models.size > 0 ? [...models.values()] : [{ id: 'simulated', version: '1' }];
}
