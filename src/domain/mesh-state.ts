import type { SpiffeId, TrustDomain } from './agent-id.ts';
import type { Baseline } from './baseline.ts';
import type { JsonValue } from './canonical/strict-json.ts';
import { createGrantTable, type Grant, type GrantPolicy } from './grant-policy.ts';
import type { InferenceService } from './inference/evidence.ts';

export const LIFECYCLES = ['active', 'suspended', 'retired'] as const;
export type Lifecycle = (typeof LIFECYCLES)[number];

/** An agent as the authority registered it. */
export interface AgentRecord {
  readonly id: SpiffeId;
  readonly lifecycle: Lifecycle;
  /** The accountable human, opaque here; `undefined` means that nobody answers for the agent. */
  readonly sponsor?: string;
  /** While set and not past (milliseconds since the epoch), drift and missing grants of this agent are only reported. */
  readonly observeUntil?: number;
}

export const REVOCATION_KINDS = ['agent', 'instance', 'certificate'] as const;
export type RevocationKind = (typeof REVOCATION_KINDS)[number];

/** Takes effect at once and for good. `subject`: a SPIFFE ID, an instance id, or an `x5t#S256` thumbprint. */
export interface Revocation {
  readonly id: string;
  readonly kind: RevocationKind;
  readonly subject: string;
  readonly reason: string;
}

/** Where one instance of an agent accepts exchanges and data connections. */
export interface Endpoint {
  readonly agent: SpiffeId;
  readonly instance: string;
  /** `host:port`. */
  readonly address: string;
}

/** One thing that the authority signs and sidecars act on. */
export type StateObject =
  | { readonly kind: 'agent'; readonly value: AgentRecord }
  | { readonly kind: 'baseline'; readonly value: Baseline }
  | { readonly kind: 'grant'; readonly value: Grant }
  | { readonly kind: 'revocation'; readonly value: Revocation }
  | { readonly kind: 'inference_service'; readonly value: InferenceService }
  | { readonly kind: 'endpoint'; readonly value: Endpoint }
  | { readonly kind: 'bundle'; readonly value: BundleDocument };

/** A trust domain's roots and keys, still in SPIFFE bundle format; the crypto layer reads it. */
export interface BundleDocument {
  readonly trustDomain: TrustDomain;
  readonly document: JsonValue;
}

/** What the authority signs to say which objects are in force for one recipient. */
export interface StateHead {
  readonly domain: TrustDomain;
  readonly recipient: SpiffeId;
  /** Grows only when an operator restores the authority from a backup. */
  readonly epoch: number;
  readonly revision: number;
  /** SHA-256 over the list of objects: two heads of one revision with different content are a fork. */
  readonly content: string;
  readonly previous: { readonly revision: number; readonly content: string } | null;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
  /** Milliseconds since the epoch; nothing may be judged by this state afterwards. */
  readonly notAfter: number;
  /** SHA-256 (hex) of every signed object in force, sorted. */
  readonly objects: readonly string[];
}

/** The state as one sidecar uses it: immutable, indexed, replaced as a whole. */
export interface MeshState {
  readonly head: StateHead;
  readonly agents: ReadonlyMap<SpiffeId, AgentRecord>;
  readonly baselines: ReadonlyMap<SpiffeId, readonly Baseline[]>;
  readonly grants: readonly Grant[];
  readonly grantPolicy: GrantPolicy;
  readonly revoked: Readonly<Record<RevocationKind, ReadonlyMap<string, Revocation>>>;
  /** The inference services that the recipient may use, by their own SPIFFE IDs. */
  readonly inferenceServices: ReadonlyMap<SpiffeId, InferenceService>;
  readonly endpoints: ReadonlyMap<SpiffeId, readonly Endpoint[]>;
  readonly bundles: readonly BundleDocument[];
}

export function assembleMeshState(head: StateHead, objects: readonly StateObject[]): MeshState {
  const values = <K extends StateObject['kind']>(kind: K) =>
    objects.flatMap((object) =>
      object.kind === kind ? [object.value as Extract<StateObject, { kind: K }>['value']] : [],
    );
  const revocations = values('revocation');
  const revokedOf = (kind: RevocationKind) =>
    new Map(
      revocations
        .filter((revocation) => revocation.kind === kind)
        .map((revocation) => [revocation.subject, revocation]),
    );
  const grants = values('grant');
  return {
    head,
    agents: new Map(values('agent').map((agent) => [agent.id, agent])),
    baselines: groupBy(values('baseline'), (baseline) => baseline.agent),
    grants,
    grantPolicy: createGrantTable(grants),
    revoked: { agent: revokedOf('agent'), instance: revokedOf('instance'), certificate: revokedOf('certificate') },
    inferenceServices: new Map(values('inference_service').map((service) => [service.id, service])),
    endpoints: groupBy(values('endpoint'), (endpoint) => endpoint.agent),
    bundles: values('bundle'),
  };
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
