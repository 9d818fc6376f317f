import type { SpiffeId } from '../../domain/agent-id.ts';
import type { BundleDocument, Endpoint, Revocation, StateObject } from '../../domain/mesh-state.ts';
import type { PolicyIndex } from '../policy/policy-index.ts';
import type { WantedPeers } from './wanted-peers.ts';

/** What the authority knows at one moment. */
export interface StateSource {
  readonly policy: PolicyIndex;
  readonly endpointsOf: ReadonlyMap<SpiffeId, readonly Endpoint[]>;
  readonly bundle: BundleDocument;
  readonly wanted: Pick<WantedPeers, 'of' | 'by'>;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Whose a revoked instance or certificate is; `undefined` when that is not known (any more). */
  readonly ownerOf: (revocation: Revocation) => SpiffeId | undefined;
}

/**
 * The part of the state that concerns one agent, and nothing of agents it has nothing to do with: its cost must not
 * grow with the mesh, and an agent has no business knowing who else there is.
 *
 * Itself and whoever shares a grant with it, or would like to while one of the two is in observe mode; their baselines; those grants; the revocations of any of them, and those
 * of which nobody knows whose they are; the inference services that it may use, and not who else may; addresses of the
 * agents it may call; the trust bundle.
 */
export function viewFor(recipient: SpiffeId, source: StateSource): StateObject[] {
  const { policy, endpointsOf, bundle, ownerOf } = source;
  const grants = policy.grantsOf.get(recipient) ?? [];
  const observed = observedPeers(recipient, source);
  const callees = new Set([
    ...grants.filter(({ from }) => from === recipient).map(({ to }) => to),
    ...observed.callees,
  ]);
  const concerned = new Set([
    recipient,
    ...grants.flatMap(({ from, to }) => [from, to]),
    ...callees,
    ...observed.callers,
  ]);
  const objects: StateObject[] = [{ kind: 'bundle', value: bundle }];
  for (const id of concerned) {
    const agent = policy.agents.get(id);
    if (agent !== undefined) objects.push({ kind: 'agent', value: agent });
    for (const baseline of policy.baselinesOf.get(id) ?? []) {
      // A revoked one is in force for nobody: not to have it says the same.
      if (baseline.state !== 'revoked') objects.push({ kind: 'baseline', value: baseline });
    }
  }
  for (const grant of grants) objects.push({ kind: 'grant', value: grant });
  const services = policy.inferenceServicesOf.get(recipient) ?? [];
  for (const service of services) {
    objects.push({ kind: 'inference_service', value: { ...service, agents: [recipient] } });
  }
  const revocable = new Set([...concerned, ...services.map(({ id }) => id)]);
  for (const revocation of policy.revocations) {
    const owner = ownerOf(revocation);
    if (owner === undefined || revocable.has(owner)) objects.push({ kind: 'revocation', value: revocation });
  }
  for (const callee of callees) {
    for (const endpoint of endpointsOf.get(callee) ?? []) objects.push({ kind: 'endpoint', value: endpoint });
  }
  return objects;
}

/** Whom the recipient would call, or who would call it, without a grant, while that is only observed. */
function observedPeers(recipient: SpiffeId, { policy, wanted, now }: StateSource) {
  const isObserved = (id: SpiffeId): boolean => now < (policy.agents.get(id)?.observeUntil ?? -Infinity);
  const isShown = (peer: SpiffeId): boolean => isObserved(recipient) || isObserved(peer);
  return { callees: [...wanted.of(recipient)].filter(isShown), callers: [...wanted.by(recipient)].filter(isShown) };
}
