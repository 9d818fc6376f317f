import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Baseline } from '../../domain/baseline.ts';
import { createGrantTable, type ConnectionRequest, type GrantPolicy } from '../../domain/grant-policy.ts';
import type { AgentRecord, StateObject } from '../../domain/mesh-state.ts';
import { checkRevoked, indexPolicy } from './policy-index.ts';

/** A policy as the sidecars together would judge by it. Immutable. */
export interface PolicyView {
  readonly agents: ReadonlyMap<SpiffeId, AgentRecord>;
  readonly baselines: ReadonlyMap<SpiffeId, readonly Baseline[]>;
  readonly grants: GrantPolicy;
  isRevoked(agent: SpiffeId, instance: string): boolean;
  /** Whether drift and missing grants of an agent are only reported, at a time in milliseconds since the epoch. */
  observes(agent: SpiffeId, at: number): boolean;
  /** Whether a grant in either direction makes the two known to each other. */
  areJoined(pair: ConnectionRequest): boolean;
}

/** @param instanceOf the instance that holds a certificate, by `x5t#S256`. */
export function createPolicyView(
  objects: readonly StateObject[],
  instanceOf: (thumbprint: string) => string | undefined,
): PolicyView {
  const index = indexPolicy(objects);
  const grants = createGrantTable(objects.flatMap(({ kind, value }) => (kind === 'grant' ? [value] : [])));
  // An instance may have two certificates, and which of them a session uses is not reported: either one counts.
  const stripped = new Set([...index.revoked.certificate.keys()].map(instanceOf));
  return {
    agents: index.agents,
    baselines: index.baselinesOf,
    grants,
    isRevoked: (agent, instance) => stripped.has(instance) || checkRevoked(index, { agent, instance }) !== undefined,
    observes: (agent, at) => at < (index.agents.get(agent)?.observeUntil ?? -Infinity),
    areJoined: ({ from, to }) => grants.decide({ from, to }).allowed || grants.decide({ from: to, to: from }).allowed,
  };
}
