import { resolve } from 'node:path';
import { stringify } from 'yaml';
import type { Digest } from '../domain/canonical/digest.ts';
import type { JsonObject } from '../domain/canonical/strict-json.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import type { InferenceConfig } from './config.ts';
import { openEvidenceRoot } from './evidence/evidence-root.ts';
import { launchManifest, measureLaunch } from './evidence/launch-manifest.ts';
import { programDigest } from './evidence/program-digest.ts';
import { makeStateDir } from './inference-service.ts';

/** What an operator approves of a service. */
export interface ServiceDescription {
  readonly measurement: Digest;
  readonly evidenceRoot: Digest;
  readonly manifest: JsonObject;
}

export interface DescribeOptions {
  readonly config: InferenceConfig;
  /** What paths in the configuration are relative to. */
  readonly folder: string;
  readonly version: string;
}

/** What the service will prove of itself when this program runs it; asks nobody. @throws MeshError `FILE_UNREADABLE` */
export async function describeService({ config, folder, version }: DescribeOptions): Promise<ServiceDescription> {
  const stateDir = resolve(folder, config.state_dir);
  await makeStateDir(stateDir);
  const root = await openEvidenceRoot(stateDir, { clock: systemClock, random: systemRandom });
  const manifest = launchManifest({ config, version, program: programDigest() });
  return { measurement: measureLaunch(manifest), evidenceRoot: root.pin, manifest };
}

/** The policy that approves it, in YAML. With no agents the authority refuses it: name them. */
export function policyFor(
  { measurement, evidenceRoot }: ServiceDescription,
  { name, agents, acceptSimulated }: { name: string; agents: readonly string[]; acceptSimulated: boolean },
): string {
  return stringify({
    kind: 'InferenceService',
    id: name,
    agents,
    measurements: [measurement],
    evidence_roots: [evidenceRoot],
    accept_simulated_evidence: acceptSimulated,
  });
}
