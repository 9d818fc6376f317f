import { agentNameOf, trustDomainOf, type SpiffeId } from '../../domain/agent-id.ts';
import {
  formatCallPattern,
  joinCalls,
  listsAll,
  MAX_CALL_PATTERNS,
  sharedCalls,
  type CallPattern,
} from '../../domain/calls/call-pattern.ts';
import type { Grant } from '../../domain/grant-policy.ts';
import { isObjectId } from '../../domain/state-objects.ts';
import type { OperatorChange } from './operator-changes.ts';
import { agentUnknown, done, operatorRecord, overlay, ownedByFile, put } from './operator-edit-parts.ts';
import type { Edit, EditContext } from './operator-edit-parts.ts';
import { recordsInForce, withEntry, type PolicyLayers } from './policy-layers.ts';
import type { PolicyRecord } from './policy-objects.ts';
import { policyRefusal } from './policy-outcome.ts';

interface GrantRecord extends PolicyRecord {
  readonly object: { readonly kind: 'grant'; readonly value: Grant };
}

/** Only ever widens: without calls to every call, with calls by those. */
export function addGrant(
  layers: PolicyLayers,
  { from, to, calls }: Extract<OperatorChange, { action: 'add_grant' }>,
  context: EditContext,
): Edit {
  const { trustDomain } = context;
  const records = recordsInForce(layers);
  const unknown = [from, to].find((end) => trustDomainOf(end) === trustDomain && !records.has(`agent ${end}`));
  if (unknown !== undefined) return agentUnknown(unknown);
  const same = grantsBetween(records, from, to);
  if (permitted(same, calls)) return done(layers, ['the grant is in force already']);
  const ours = same.find(({ key }) => layers.overlays.has(key) && layers.files.get(key)?.withdrawn === false);
  if (ours !== undefined) return giveBack(layers, ours.key, calls, context);
  const inFile = same.find(({ key }) => layers.files.has(key));
  if (inFile?.withdrawn === true) return ownedByFile(inFile, 'says that it is withdrawn', 'set `state: active` there');
  if (inFile !== undefined) return ownedByFile(inFile, 'lists the calls it permits', 'change `calls` there');
  const [short, long] = [from, to].map((end) => (trustDomainOf(end) === trustDomain ? agentNameOf(end) : end));
  const id = `${short}>${long}`;
  if (!isObjectId(id)) return policyRefusal('CHANGE_INVALID', 'the names are too long for a grant without an id');
  const all = calls && joinCalls(same.find(({ object }) => object.value.id === id)?.object.value.calls ?? [], calls);
  if (all !== undefined && all.length > MAX_CALL_PATTERNS) return tooMany();
  const value = { id, from, to, ...(all !== undefined && { calls: all }) };
  return done(put(layers, operatorRecord({ kind: 'grant', value }, context, { group: from })));
}

/** What an operator took away from a grant in a file, an operator may give back, all of it or by the call. */
function giveBack(
  layers: PolicyLayers,
  key: string,
  calls: readonly CallPattern[] | undefined,
  context: EditContext,
): Edit {
  const inFile = layers.files.get(key);
  if (inFile?.object.kind !== 'grant') return policyRefusal('NOT_FOUND', `there is no ${key}`);
  const listed = inFile.object.value.calls;
  if (calls === undefined) {
    const notes = listed === undefined ? [] : ['it permits the calls that its file lists'];
    return done({ ...layers, overlays: withEntry(layers.overlays, key, undefined) }, notes);
  }
  if (!listsAll(listed, calls)) return ownedByFile(inFile, 'does not list all of these calls', 'change `calls` there');
  const before = layers.overlays.get(key);
  const left = before?.withdrawn === true ? [] : (before?.calls ?? []);
  const texts = [...new Set([...left, ...calls.map(formatCallPattern)])];
  if (texts.length > MAX_CALL_PATTERNS) return tooMany();
  return done(overlay(layers, key, { withdrawn: undefined, calls: texts }, context));
}

function tooMany(): Edit {
  return policyRefusal('CHANGE_INVALID', `the grant would list more than ${MAX_CALL_PATTERNS} calls`);
}

/** Only ever narrows, and not to nothing: that is what withdrawing is for. */
export function limitGrant(
  layers: PolicyLayers,
  { from, to, calls }: Extract<OperatorChange, { action: 'limit_grant' }>,
  context: EditContext,
): Edit {
  const active = grantsBetween(recordsInForce(layers), from, to).filter(({ withdrawn }) => !withdrawn);
  if (active.length === 0) return policyRefusal('NOT_FOUND', `no grant lets ${from} connect to ${to}`);
  const more = calls.find((pattern) => !permitted(active, [pattern]));
  if (more !== undefined) {
    const detail = `${formatCallPattern(more)} is not one of the calls that the grant lists; to permit more: ait grant add`;
    return policyRefusal('CHANGE_INVALID', detail);
  }
  const next = active.reduce((now, record) => limitRecord(now, record, calls, context), layers);
  return done(next, next === layers ? ['the grant permits no other calls already'] : []);
}

function limitRecord(
  layers: PolicyLayers,
  record: GrantRecord,
  calls: readonly CallPattern[],
  context: EditContext,
): PolicyLayers {
  const { key, object } = record;
  const left = sharedCalls(object.value.calls, calls);
  if (object.value.calls !== undefined && left.length === object.value.calls.length) return layers;
  if (left.length === 0) return withdrawRecord(layers, record, context);
  if (layers.files.has(key)) return overlay(layers, key, { calls: left.map(formatCallPattern) }, context);
  const value = { ...object.value, calls: left };
  return put(layers, { ...record, object: { kind: 'grant', value }, operator: context.operator });
}

export function withdrawGrant(
  layers: PolicyLayers,
  { from, to }: Extract<OperatorChange, { action: 'withdraw_grant' }>,
  context: EditContext,
): Edit {
  const same = grantsBetween(recordsInForce(layers), from, to);
  if (same.length === 0) return policyRefusal('NOT_FOUND', `no grant lets ${from} connect to ${to}`);
  const next = same
    .filter(({ withdrawn }) => !withdrawn)
    .reduce((now, record) => withdrawRecord(now, record, context), layers);
  return done(next, next === layers ? ['the grant is withdrawn already'] : []);
}

function withdrawRecord(layers: PolicyLayers, { key }: PolicyRecord, context: EditContext): PolicyLayers {
  if (!layers.files.has(key)) return { ...layers, operators: withEntry(layers.operators, key, undefined) };
  return overlay(layers, key, { withdrawn: true }, context);
}

/** Whether grants in force between two agents together list these calls, as written; `undefined`: every call. */
function permitted(records: readonly GrantRecord[], calls: readonly CallPattern[] | undefined): boolean {
  const listed = records.filter(({ withdrawn }) => !withdrawn).map(({ object }) => object.value.calls);
  if (listed.includes(undefined)) return true;
  return calls !== undefined && calls.every((pattern) => listed.some((each) => listsAll(each, [pattern])));
}

function grantsBetween(records: ReadonlyMap<string, PolicyRecord>, from: SpiffeId, to: SpiffeId): GrantRecord[] {
  return [...records.values()].filter(
    (record): record is GrantRecord =>
      record.object.kind === 'grant' && record.object.value.from === from && record.object.value.to === to,
  );
}
