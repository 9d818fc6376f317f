import { disagreeingFiles, setAside, type FileReading } from './file-changes.ts';
import { withValues, type LayerValue, type PolicyLayers } from './policy-layers.ts';
import { policyRefusal, type PolicyRefusal } from './policy-outcome.ts';
import { KEPT_REVISIONS, type Revision } from './policy-revision.ts';

export type Undoing =
  | {
      readonly ok: true;
      readonly layers: PolicyLayers;
      readonly undone: readonly number[];
      readonly notes: readonly string[];
    }
  | PolicyRefusal;

export interface UndoQuestion {
  readonly layers: PolicyLayers;
  /** Oldest first. */
  readonly revisions: readonly Revision[];
  /** The one to go back to; default: the one before the last. */
  readonly to: number | undefined;
  readonly operator: string;
  readonly readings: readonly FileReading[];
}

/**
 * The layers as they were at an earlier revision. What was revoked since then stays revoked. Files that said what is
 * undone are set aside as they are, or the next reading would bring it back.
 */
export function undoTo({ layers, revisions, to, operator, readings }: UndoQuestion): Undoing {
  const last = revisions.at(-1)?.revision ?? 0;
  const target = to ?? last - 1;
  const undone = revisions.filter(({ revision }) => revision > target).toReversed();
  if (last < 2 || target < 1 || target >= last || undone.length !== last - target) {
    const detail =
      last < 2
        ? 'there is no revision before the one in force'
        : `there is no way back to revision ${target}: the one in force is ${last}, and the last ${KEPT_REVISIONS} are kept`;
    return policyRefusal('NOTHING_TO_UNDO', detail);
  }
  const kept = new Set<string>();
  let next = layers;
  for (const { before } of undone) {
    const takenBack = before.filter((value) => !bringsBackRevoked(next, value));
    for (const { key } of before.filter((value) => !takenBack.includes(value))) kept.add(key);
    next = withValues(next, takenBack);
  }
  // What a file took over and may not be taken from it again is not put beside it.
  next = { ...next, operators: new Map([...next.operators].filter(([key]) => !next.files.has(key))) };
  const numbers = undone.map(({ revision }) => revision).toReversed();
  const files = disagreeingFiles(next, readings);
  const note = `undo of revision ${numbers.join(', ')} by operator ${operator}`;
  const result = setAside(next, readings, { files, why: 'undone', note });
  const stays = kept.size > 0 ? [`stays revoked: ${[...kept].join(', ')}; a revocation is never undone`] : [];
  const asideNote = files.length > 0 ? [`these files have no effect until they change: ${files.join(', ')}`] : [];
  return { ok: true, layers: result, undone: numbers, notes: [...stays, ...asideNote] };
}

/** Whether what a record was before would take back a revocation, or put a revoked baseline in force again. */
function bringsBackRevoked(layers: PolicyLayers, { layer, key, value }: LayerValue): boolean {
  if (layer === 'overlays') return layers.overlays.get(key)?.state === 'revoked';
  if (layer === 'aside') return false;
  const object = layers[layer].get(key)?.object;
  if (object?.kind === 'revocation') return true;
  if (object?.kind !== 'baseline' || object.value.state !== 'revoked') return false;
  const was = (value as { object?: { value?: { state?: string } } } | null)?.object?.value?.state;
  return was !== 'revoked';
}
