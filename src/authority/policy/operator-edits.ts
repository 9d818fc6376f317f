import { createHash } from 'node:crypto';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import { approveBaseline } from './baseline-approval.ts';
import { addGrant, limitGrant, withdrawGrant } from './grant-edits.ts';
import type { OperatorChange } from './operator-changes.ts';
import { agentUnknown, done, operatorRecord, overlay, ownedByFile, put } from './operator-edit-parts.ts';
import type { Edit, EditContext } from './operator-edit-parts.ts';
import { recordsInForce, type PolicyLayers } from './policy-layers.ts';
import { policyRefusal } from './policy-outcome.ts';

/**
 * What operators' changes make of the layers, one after the other; the first that is refused refuses all. What a file
 * owns an operator may only restrict: what was to be widened would otherwise stand in one place and be true in another.
 */
export function applyChanges(layers: PolicyLayers, changes: readonly OperatorChange[], context: EditContext): Edit {
  let edit = done(layers);
  for (const change of changes) {
    const next = applyChange(edit.layers, change, context);
    if (!next.ok) return next;
    edit = { ...next, notes: [...edit.notes, ...next.notes] };
  }
  return edit;
}

function applyChange(layers: PolicyLayers, change: OperatorChange, context: EditContext): Edit {
  switch (change.action) {
    case 'approve_baseline':
      return approveBaseline(layers, change, context);
    case 'set_baseline_state':
      return setBaselineState(layers, change, context);
    case 'add_grant':
      return addGrant(layers, change, context);
    case 'limit_grant':
      return limitGrant(layers, change, context);
    case 'withdraw_grant':
      return withdrawGrant(layers, change, context);
    case 'register_agent':
      return registerAgent(layers, change, context);
    case 'set_lifecycle':
      return setLifecycle(layers, change, context);
    case 'observe':
      return observe(layers, change, context);
    case 'revoke':
      return revoke(layers, change, context);
  }
}

function setBaselineState(
  layers: PolicyLayers,
  { id, state }: Extract<OperatorChange, { action: 'set_baseline_state' }>,
  context: EditContext,
): Edit {
  const key = `baseline ${id}`;
  const record = recordsInForce(layers).get(key);
  if (record?.object.kind !== 'baseline') return policyRefusal('NOT_FOUND', `there is no baseline ${id}`);
  if (record.object.value.state === 'revoked') return done(layers, [`baseline ${id} is revoked already`]);
  if (layers.files.has(key)) return done(overlay(layers, key, { state }, context));
  const object = { kind: 'baseline' as const, value: { ...record.object.value, state } };
  return done(put(layers, { ...record, object, operator: context.operator }));
}

function registerAgent(
  layers: PolicyLayers,
  { agent, sponsor }: Extract<OperatorChange, { action: 'register_agent' }>,
  context: EditContext,
): Edit {
  const key = `agent ${agent}`;
  const inFile = layers.files.get(key);
  if (inFile !== undefined) return ownedByFile(inFile, 'registers it', 'change it there');
  const before = layers.operators.get(key)?.object;
  const observeUntil = before?.kind === 'agent' ? before.value.observeUntil : undefined;
  const { id, name, email } = sponsor;
  const note: Record<string, JsonValue> = {
    ...(name !== undefined && { sponsor_name: name }),
    ...(email !== undefined && { sponsor_email: email }),
  };
  const value = { id: agent, lifecycle: 'active' as const, sponsor: id, ...(observeUntil && { observeUntil }) };
  return done(put(layers, operatorRecord({ kind: 'agent', value }, context, { note })));
}

function setLifecycle(
  layers: PolicyLayers,
  { agent, lifecycle }: Extract<OperatorChange, { action: 'set_lifecycle' }>,
  context: EditContext,
): Edit {
  const key = `agent ${agent}`;
  const record = recordsInForce(layers).get(key);
  if (record?.object.kind !== 'agent') return agentUnknown(agent);
  if (record.object.value.lifecycle === lifecycle) return done(layers, [`the agent is ${lifecycle} already`]);
  const inFile = layers.files.get(key);
  if (inFile?.object.kind !== 'agent') {
    const object = { kind: 'agent' as const, value: { ...record.object.value, lifecycle } };
    return done(put(layers, { ...record, object, operator: context.operator }));
  }
  const says = inFile.object.value.lifecycle;
  if (lifecycle !== 'active') {
    if (says === 'retired') return ownedByFile(inFile, 'says that it is retired', 'change it there');
    return done(overlay(layers, key, { lifecycle }, context));
  }
  if (says !== 'active') return ownedByFile(inFile, `says that it is ${says}`, 'change it there');
  return done(overlay(layers, key, { lifecycle: undefined }, context));
}

function observe(
  layers: PolicyLayers,
  { agent, until, reason }: Extract<OperatorChange, { action: 'observe' }>,
  context: EditContext,
): Edit {
  const key = `agent ${agent}`;
  const record = recordsInForce(layers).get(key);
  if (record?.object.kind !== 'agent') return agentUnknown(agent);
  if (until !== undefined && until <= context.now) {
    return policyRefusal('CHANGE_INVALID', `${new Date(until).toISOString()} is past; observe mode needs an end ahead`);
  }
  const inFile = layers.files.get(key);
  if (inFile?.object.kind !== 'agent') {
    const { observeUntil: _, ...rest } = record.object.value;
    const value = { ...rest, ...(until !== undefined && { observeUntil: until }) };
    const { observe_reason: __, ...note } = record.note;
    const why = until !== undefined && reason !== undefined && { observe_reason: reason };
    const { operator } = context;
    return done(put(layers, { ...record, object: { kind: 'agent', value }, note: { ...note, ...why }, operator }));
  }
  const says = inFile.object.value.observeUntil;
  if (until !== undefined && (says === undefined || until > says)) {
    const end = says === undefined ? 'does not observe it' : `observes it until ${new Date(says).toISOString()}`;
    return ownedByFile(inFile, end, 'set `observe` there');
  }
  if (says === undefined) return done(layers, ['the agent is not observed']);
  return done(overlay(layers, key, { observeUntil: until ?? 0 }, context));
}

function revoke(
  layers: PolicyLayers,
  { kind, subject, reason }: Extract<OperatorChange, { action: 'revoke' }>,
  context: EditContext,
): Edit {
  const records = recordsInForce(layers);
  // A mistyped name must not look like a revocation.
  if (kind === 'agent' && !records.has(`agent ${subject}`)) return agentUnknown(subject as SpiffeId);
  const there = [...records.values()].some(
    ({ object }) => object.kind === 'revocation' && object.value.kind === kind && object.value.subject === subject,
  );
  if (there) return done(layers, [`the ${kind} is revoked already`]);
  const id = `revoked-${kind}-${createHash('sha256').update(subject).digest('hex').slice(0, 12)}`;
  const value = { id, kind, subject, reason: reason ?? `revoked by operator ${context.operator}`.slice(0, 512) };
  const notes = context.isKnown(kind, subject)
    ? []
    : [`no ${kind} with this id is known to this authority now; it is revoked all the same`];
  return done(put(layers, operatorRecord({ kind: 'revocation', value }, context)), notes);
}
