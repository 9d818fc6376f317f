import type { SpiffeId } from './agent-id.ts';

/** Permission for one agent to connect to another. Methods are reserved for the data plane. */
export interface Grant {
  readonly id: string;
  readonly from: SpiffeId;
  readonly to: SpiffeId;
}

export interface ConnectionRequest {
  readonly from: SpiffeId;
  readonly to: SpiffeId;
}

export type GrantDecision = { readonly allowed: true; readonly grant: string } | { readonly allowed: false };

/**
 * The port behind which the permission to connect is decided, so that a policy engine can take its place. An
 * implementation denies by default, decides synchronously and never throws.
 */
export interface GrantPolicy {
  decide(request: ConnectionRequest): GrantDecision;
}

/** Grants as plain data: allowed only if one grant names exactly this pair. No grants: nobody is allowed. */
export function createGrantTable(grants: readonly Grant[]): GrantPolicy {
  const byPair = new Map(grants.map((grant) => [pairKey(grant), grant.id]));
  return {
    decide(request) {
      const grant = byPair.get(pairKey(request));
      return grant === undefined ? { allowed: false } : { allowed: true, grant };
    },
  };
}

/** A space cannot occur in a SPIFFE ID, so no two pairs share a key. */
function pairKey({ from, to }: ConnectionRequest): string {
  return `${from} ${to}`;
}
