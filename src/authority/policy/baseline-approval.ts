import { isDeepStrictEqual } from 'node:util';
import { agentNameOf, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import type { Baseline } from '../../domain/baseline.ts';
import { DIMENSIONS, differencesBetween, dimensionDifferences, type Measurement } from '../../domain/measurement.ts';
import { stateObjectToJson } from '../../domain/state-objects.ts';
import type { OperatorChange } from './operator-changes.ts';
import { agentUnknown, done, operatorRecord, overlay, ownedByFile, put } from './operator-edit-parts.ts';
import type { Edit, EditContext } from './operator-edit-parts.ts';
import type { ReportedInstance } from './policy-impact.ts';
import { recordsInForce, type PolicyLayers } from './policy-layers.ts';
import { readPolicyFile, type PolicyRecord } from './policy-objects.ts';
import { policyRefusal, type PolicyRefusal } from './policy-outcome.ts';

type Approval = Extract<OperatorChange, { action: 'approve_baseline' }>;

/** Puts the baselines of a text in force, as a file with the same text would. */
export function approveBaseline(layers: PolicyLayers, { text, force }: Approval, context: EditContext): Edit {
  const read = readApproval(text, context.trustDomain);
  if ('code' in read) return read;
  let edit = done(layers);
  for (const record of read) {
    const next = approveOne(edit.layers, record, { context, force });
    if (!next.ok) return next;
    edit = done(next.layers, [...edit.notes, ...next.notes]);
  }
  return edit;
}

type BaselineRecord = PolicyRecord & { readonly object: { readonly kind: 'baseline'; readonly value: Baseline } };

function readApproval(text: string, trustDomain: TrustDomain): readonly BaselineRecord[] | PolicyRefusal {
  const { records, problems } = readPolicyFile('the baseline', text, trustDomain);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    const said = errors.map(({ line, column, field, message }) => `line ${line}:${column}: ${field} ${message}`);
    return policyRefusal('CHANGE_INVALID', said.join('; '));
  }
  const baselines = records.filter((record): record is BaselineRecord => record.object.kind === 'baseline');
  if (baselines.length === 0 || baselines.length < records.length) {
    return policyRefusal('CHANGE_INVALID', 'the text must have documents of `kind: Baseline`, and no others');
  }
  const other = baselines.find(({ object }) => object.value.state !== 'approved');
  if (other === undefined) return baselines;
  const { id, state } = other.object.value;
  return policyRefusal('CHANGE_INVALID', `baseline ${id} has \`state: ${state}\`, which approves nothing`);
}

function approveOne(
  layers: PolicyLayers,
  { key, object, note }: BaselineRecord,
  { context, force }: { readonly context: EditContext; readonly force: boolean },
): Edit {
  const { id, agent, digests } = object.value;
  const records = recordsInForce(layers);
  if (!records.has(`agent ${agent}`)) return agentUnknown(agent);
  const before = records.get(key);
  if (before?.object.kind === 'baseline') {
    const old = before.object.value;
    if (old.agent !== agent) {
      const detail = `baseline ${id} is of ${agentNameOf(old.agent)}; what is approved for ${agentNameOf(agent)} needs an id of its own`;
      return policyRefusal('BASELINE_OF_ANOTHER_AGENT', detail);
    }
    if (old.state === 'revoked') {
      return policyRefusal('BASELINE_REVOKED', `baseline ${id} was revoked, for good; give the new one another id`);
    }
    if (differencesBetween(old.digests, digests).length > 0) {
      const detail = `baseline ${id} approves other digests already; give the new one another id`;
      return policyRefusal('BASELINE_EXISTS', detail);
    }
  }
  const inFile = layers.files.get(key);
  if (inFile?.object.kind === 'baseline') {
    // What an operator retired, an operator may approve again; all else is for the file to say.
    const says = inFile.object.value;
    if (says.state !== 'approved' || !isDeepStrictEqual(stateObjectToJson(inFile.object), stateObjectToJson(object))) {
      return ownedByFile(inFile, `says \`state: ${says.state}\``, 'change it there');
    }
    return done(overlay(layers, key, { state: undefined }, context));
  }
  const objection = force ? undefined : findMixUp(object.value, context.reported);
  return objection ?? done(put(layers, operatorRecord(object, context, { note })));
}

/** Whether the digests look like another agent's: nothing of the named one in them, and everything of the other. */
function findMixUp({ id, agent, digests }: Baseline, reported: readonly ReportedInstance[]): PolicyRefusal | undefined {
  const measured = (matches: (other: SpiffeId) => boolean) =>
    reported.flatMap((instance) =>
      matches(instance.agent) && instance.measurement !== undefined
        ? [{ agent: instance.agent, measurement: instance.measurement }]
        : [],
    );
  const own = measured((other) => other === agent);
  if (own.length === 0 || own.some(({ measurement }) => hasInCommon(measurement, digests))) return undefined;
  const twin = measured((other) => other !== agent).find(
    ({ measurement }) => differencesBetween(digests, measurement).length === 0,
  );
  if (twin === undefined) return undefined;
  const [named, likely] = [agentNameOf(agent), agentNameOf(twin.agent)];
  const detail = `baseline ${id} is for ${named}, which measures nothing of it, and is exactly what ${likely} measures; build it with --agent ${likely}, or approve it with --force`;
  return policyRefusal('APPROVAL_LOOKS_WRONG', detail);
}

/** The model aside, which many agents share. */
function hasInCommon(measurement: Measurement, digests: Baseline['digests']): boolean {
  return DIMENSIONS.some(
    (dimension) =>
      dimension !== 'model' &&
      digests[dimension] !== null &&
      dimensionDifferences(dimension, digests, measurement).length === 0,
  );
}
