import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Baseline } from '../../domain/baseline.ts';
import type { Grant } from '../../domain/grant-policy.ts';
import type { InferenceService } from '../../domain/inference/evidence.ts';
import type { AgentRecord, Revocation, RevocationKind, StateObject } from '../../domain/mesh-state.ts';
import type { Refusal } from '../refusal.ts';

/** The policy in force, by what is asked of it. Immutable; made anew when the policy changes. */
export interface PolicyIndex {
  readonly agents: ReadonlyMap<SpiffeId, AgentRecord>;
  readonly baselinesOf: ReadonlyMap<SpiffeId, readonly Baseline[]>;
  /** Grants in which the agent is either side. */
  readonly grantsOf: ReadonlyMap<SpiffeId, readonly Grant[]>;
  readonly inferenceServices: ReadonlyMap<SpiffeId, InferenceService>;
  /** Those that an agent may use. */
  readonly inferenceServicesOf: ReadonlyMap<SpiffeId, readonly InferenceService[]>;
  readonly revocations: readonly Revocation[];
  readonly revoked: Readonly<Record<RevocationKind, ReadonlyMap<string, Revocation>>>;
}

export function indexPolicy(objects: readonly StateObject[]): PolicyIndex {
  const agents = new Map<SpiffeId, AgentRecord>();
  const baselinesOf = new Map<SpiffeId, Baseline[]>();
  const grantsOf = new Map<SpiffeId, Grant[]>();
  const inferenceServices = new Map<SpiffeId, InferenceService>();
  const inferenceServicesOf = new Map<SpiffeId, InferenceService[]>();
  const revocations: Revocation[] = [];
  const revoked = { agent: new Map(), instance: new Map(), certificate: new Map() };
  for (const object of objects) {
    if (object.kind === 'agent') agents.set(object.value.id, object.value);
    else if (object.kind === 'baseline') append(baselinesOf, object.value.agent, object.value);
    else if (object.kind === 'grant') {
      append(grantsOf, object.value.from, object.value);
      append(grantsOf, object.value.to, object.value);
    } else if (object.kind === 'inference_service') {
      inferenceServices.set(object.value.id, object.value);
      for (const agent of object.value.agents) append(inferenceServicesOf, agent, object.value);
    } else if (object.kind === 'revocation') {
      revocations.push(object.value);
      revoked[object.value.kind].set(object.value.subject, object.value);
    }
  }
  return { agents, baselinesOf, grantsOf, inferenceServices, inferenceServicesOf, revocations, revoked };
}

/** Who asks for something, as far as revocations can name them. */
export interface Subject {
  readonly agent: SpiffeId;
  readonly instance?: string;
  readonly thumbprint?: string;
}

/** Why the subject gets nothing more from this authority; `undefined` when nothing is against it. */
export function checkRevoked({ revoked }: PolicyIndex, subject: Subject): Refusal | undefined {
  const found =
    revoked.agent.get(subject.agent) ??
    revoked.instance.get(subject.instance ?? '') ??
    revoked.certificate.get(subject.thumbprint ?? '');
  if (found === undefined) return undefined;
  const detail = `${found.kind} ${found.subject} was revoked (${found.id}): ${found.reason}`;
  return { ok: false, grpc: 'PERMISSION_DENIED', code: 'REVOKED', detail };
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
