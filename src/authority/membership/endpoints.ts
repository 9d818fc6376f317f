import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Endpoint, Revocation } from '../../domain/mesh-state.ts';
import type { Instances } from './instances.ts';
import type { Presence } from './presence.ts';

/** Where the instances of each agent are reached, of those that are there. */
export function endpointsOf(instances: Instances, presence: Presence): ReadonlyMap<SpiffeId, readonly Endpoint[]> {
  const endpoints = new Map<SpiffeId, Endpoint[]>();
  for (const { id, agent, address } of instances.live()) {
    if (address === '' || !presence.isThere(id)) continue;
    const list = endpoints.get(agent) ?? [];
    list.push({ agent, instance: id, address });
    endpoints.set(agent, list);
  }
  return endpoints;
}

/** Whose a revoked instance or certificate is; `undefined` where nobody knows (any more). */
export function ownerOf({ kind, subject }: Revocation, instances: Instances): SpiffeId | undefined {
  switch (kind) {
    case 'agent':
      return subject as SpiffeId;
    case 'instance':
      return instances.get(subject)?.agent;
    case 'certificate':
      return instances.byCertificate(subject)?.agent;
  }
}
