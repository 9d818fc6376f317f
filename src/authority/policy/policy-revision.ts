import { agentNameOf, inferenceNameOf, type SpiffeId } from '../../domain/agent-id.ts';
import { formatCallPattern } from '../../domain/calls/call-pattern.ts';
import type { Grant } from '../../domain/grant-policy.ts';
import type { AgentRecord } from '../../domain/mesh-state.ts';
import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import type { Change, StateStore } from '../../platform/store.ts';
import type { LayerValue } from './policy-layers.ts';
import type { PolicyRecord } from './policy-objects.ts';

export const CHANGE_SOURCES = ['files', 'operator', 'undo'] as const;
export type ChangeSource = (typeof CHANGE_SOURCES)[number];

/** One step of the policy in force. */
export interface Revision {
  /** From 1. */
  readonly revision: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `file`, or the operator's name; `source` tells an operator of that name from a file. */
  readonly author: string;
  readonly source: ChangeSource;
  /** One line. */
  readonly summary: string;
  /** What the records that changed were before: with it, the step can be taken back. */
  readonly before: readonly LayerValue[];
}

/** So many are kept, and so far back can be gone. */
export const KEPT_REVISIONS = 50;
const COLLECTION = 'policy_revisions';
const NAMED_IN_SUMMARY = 3;

/** Oldest first. */
export async function loadRevisions(store: StateStore): Promise<readonly Revision[]> {
  return (await store.list(COLLECTION)).map(({ value }) => value as unknown as Revision);
}

/** Adds one revision and forgets those that are too old. */
export function revisionChanges(revisions: readonly Revision[], next: Revision): readonly Change[] {
  const old = revisions.slice(0, Math.max(0, revisions.length + 1 - KEPT_REVISIONS));
  const value: JsonObject = { ...next, before: next.before.map((each): JsonValue => ({ ...each })) };
  return [
    { kind: 'put', collection: COLLECTION, key: keyOf(next), value, condition: { absent: true } },
    ...old.map((each): Change => ({ kind: 'delete', collection: COLLECTION, key: keyOf(each) })),
  ];
}

/** What a change comes to, in one line. */
export function summarise(
  before: ReadonlyMap<string, PolicyRecord>,
  after: ReadonlyMap<string, PolicyRecord>,
  keys: readonly string[],
): string {
  const said = [...new Set(keys)].flatMap((key) => describe(before.get(key), after.get(key)));
  const more = said.length - NAMED_IN_SUMMARY;
  const named = said.slice(0, NAMED_IN_SUMMARY).join('; ');
  if (said.length === 0) return 'nothing that is in force changed';
  return more > 0 ? `${named}; and ${more} more` : named;
}

function describe(before: PolicyRecord | undefined, after: PolicyRecord | undefined): string[] {
  const was = before?.withdrawn === true ? undefined : before?.object;
  const is = after?.withdrawn === true ? undefined : after?.object;
  const object = is ?? was;
  switch (object?.kind) {
    case undefined:
      return [];
    case 'agent':
      return [
        `agent ${agentNameOf(object.value.id)} ${agentStep(was?.kind === 'agent' ? was.value : undefined, is?.kind === 'agent' ? is.value : undefined)}`,
      ];
    case 'baseline': {
      const old = was?.kind === 'baseline' ? was.value.state : undefined;
      const step = is === undefined ? 'taken back' : old === object.value.state ? 'changed' : object.value.state;
      return [`baseline ${object.value.id} of ${agentNameOf(object.value.agent)} ${step}`];
    }
    case 'grant':
      return [
        `grant ${object.value.id} ${grantStep(was?.kind === 'grant' ? was.value : undefined, is?.kind === 'grant' ? is.value : undefined)}`,
      ];
    case 'inference_service':
      return [
        `inference service ${inferenceNameOf(object.value.id)} ${is === undefined ? 'withdrawn' : was === undefined ? 'added' : 'changed'}`,
      ];
    case 'revocation':
      return [`${object.value.kind} ${nameOf(object.value)} revoked`];
  }
}

function grantStep(was: Grant | undefined, is: Grant | undefined): string {
  if (is === undefined) return 'withdrawn';
  const step = was === undefined ? 'added' : 'changed';
  if (is.calls === undefined) return was?.calls === undefined ? step : `${step}, now for every call`;
  const more = is.calls.length - NAMED_IN_SUMMARY;
  const named = is.calls.slice(0, NAMED_IN_SUMMARY).map(formatCallPattern).join(', ');
  return `${step}, for ${named}${more > 0 ? ` and ${more} more` : ''}`;
}

function agentStep(was: AgentRecord | undefined, is: AgentRecord | undefined): string {
  if (is === undefined) return 'taken back';
  if (was === undefined) return 'registered';
  if (was.lifecycle !== is.lifecycle) return is.lifecycle === 'active' ? 'resumed' : is.lifecycle;
  if (was.observeUntil === is.observeUntil) return 'changed';
  return is.observeUntil === undefined
    ? 'no longer observed'
    : `observed until ${new Date(is.observeUntil).toISOString()}`;
}

function nameOf({ kind, subject }: { readonly kind: string; readonly subject: string }): string {
  return kind === 'agent' ? agentNameOf(subject as SpiffeId) : subject;
}

/** Sorts as the numbers do. */
function keyOf({ revision }: Revision): string {
  return String(revision).padStart(16, '0');
}
