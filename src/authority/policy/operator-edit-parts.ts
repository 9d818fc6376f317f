import type { SpiffeId, TrustDomain } from '../../domain/agent-id.ts';
import type { RevocationKind } from '../../domain/mesh-state.ts';
import type { ReportedInstance } from './policy-impact.ts';
import { withEntry, type Overlay, type PolicyLayers } from './policy-layers.ts';
import { sourceOf, type PolicyRecord } from './policy-objects.ts';
import { policyRefusal, type PolicyRefusal } from './policy-outcome.ts';

export interface EditContext {
  readonly trustDomain: TrustDomain;
  readonly operator: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly reported: readonly ReportedInstance[];
  /** Whether the authority knows what is to be revoked. */
  readonly isKnown: (kind: RevocationKind, subject: string) => boolean;
}

export interface Edited {
  readonly ok: true;
  readonly layers: PolicyLayers;
  /** What the operator should know besides. */
  readonly notes: readonly string[];
}

export type Edit = Edited | PolicyRefusal;

/** Names an agent that is not registered, and what to do. */
export function agentUnknown(agent: SpiffeId): PolicyRefusal {
  return policyRefusal('AGENT_UNKNOWN', `${agent} is not registered; register it first: ait agent register`);
}

export function ownedByFile(record: PolicyRecord, says: string, advice: string): PolicyRefusal {
  return policyRefusal('OWNED_BY_FILE', `${record.key} stands in ${sourceOf(record)}, which ${says}; ${advice}`);
}

export function operatorRecord(
  object: PolicyRecord['object'],
  { operator }: EditContext,
  { note = {}, group = '' }: Partial<Pick<PolicyRecord, 'note' | 'group'>> = {},
): PolicyRecord {
  const key = `${object.kind} ${object.value.id}`;
  return { key, file: '', line: 0, column: 0, object, withdrawn: false, group, note, operator };
}

export function put(layers: PolicyLayers, record: PolicyRecord): PolicyLayers {
  return { ...layers, operators: withEntry(layers.operators, record.key, record) };
}

export function done(layers: PolicyLayers, notes: readonly string[] = []): Edited {
  return { ok: true, layers, notes };
}

/** Puts a restriction on top of those that are there; what is `undefined` is taken off. */
export function overlay(
  layers: PolicyLayers,
  key: string,
  restriction: { readonly [K in keyof Overlay]?: Overlay[K] | undefined },
  { operator, now }: Pick<EditContext, 'operator' | 'now'>,
): PolicyLayers {
  const merged = { ...layers.overlays.get(key), ...restriction, operator, at: now };
  const left = Object.entries(merged).filter(([, value]) => value !== undefined);
  // Nothing but who and when.
  const next = left.length > 2 ? (Object.fromEntries(left) as unknown as Overlay) : undefined;
  return { ...layers, overlays: withEntry(layers.overlays, key, next) };
}
