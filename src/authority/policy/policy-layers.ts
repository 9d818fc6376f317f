/**
 * What the policy in force is put together from, by who said it: files, operators, and what operators take away from
 * what files say. Values are immutable; a change makes new ones.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { BASELINE_STATES } from '../../domain/baseline.ts';
import { readCallPattern, sharedCalls } from '../../domain/calls/call-pattern.ts';
import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import type { Grant } from '../../domain/grant-policy.ts';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { LIFECYCLES, type AgentRecord } from '../../domain/mesh-state.ts';
import { parseStateObject, stateObjectToJson } from '../../domain/state-objects.ts';
import type { Change, StateStore } from '../../platform/store.ts';
import type { PolicyRecord } from './policy-objects.ts';

/** What an operator takes away from an object that stands in a file. It can only restrict. */
export interface Overlay {
  readonly operator: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly state?: 'retired' | 'revoked';
  readonly lifecycle?: 'suspended' | 'retired';
  /** Milliseconds since the epoch; 0: not at all. */
  readonly observeUntil?: number;
  readonly withdrawn?: true;
  /** Only these calls, as people write them, of those that the file permits; if none is left, the grant is withdrawn. */
  readonly calls?: readonly string[];
}

/** A file whose present text has no effect until it changes. */
export interface SetAside {
  /** Of the text. */
  readonly sha256: string;
  /** `held`: by the brake; `undone`: by an operator. */
  readonly why: 'held' | 'undone';
  /** For people. */
  readonly note: string;
}

/** By key (kind and id), but `aside`: by file. No key is in both `files` and `operators`. */
export interface PolicyLayers {
  readonly files: ReadonlyMap<string, PolicyRecord>;
  readonly operators: ReadonlyMap<string, PolicyRecord>;
  readonly overlays: ReadonlyMap<string, Overlay>;
  readonly aside: ReadonlyMap<string, SetAside>;
}

export type LayerName = keyof PolicyLayers;

/** One record of one layer; `null`: it is not there. */
export interface LayerValue {
  readonly layer: LayerName;
  readonly key: string;
  readonly value: JsonValue;
}

export interface LayerDifference extends LayerValue {
  readonly before: JsonValue;
}

const COLLECTIONS = {
  files: 'policy',
  operators: 'policy_operators',
  overlays: 'policy_overlays',
  aside: 'policy_aside',
} as const satisfies Record<LayerName, string>;
const LAYERS = Object.keys(COLLECTIONS) as LayerName[];

export const NO_LAYERS: PolicyLayers = {
  files: new Map(),
  operators: new Map(),
  overlays: new Map(),
  aside: new Map(),
};

/** @throws MeshError `STATE_FILE_CORRUPT` */
export async function loadLayers(store: StateStore): Promise<PolicyLayers> {
  const values = await Promise.all(
    LAYERS.map(async (layer) => (await store.list(COLLECTIONS[layer])).map((record) => ({ layer, ...record }))),
  );
  return withValues(NO_LAYERS, values.flat());
}

/** Everything that was said, restrictions applied, withdrawn grants included. */
export function recordsInForce({ files, operators, overlays }: PolicyLayers): ReadonlyMap<string, PolicyRecord> {
  const records = new Map([...files, ...operators]);
  for (const [key, overlay] of overlays) {
    const record = records.get(key);
    if (record !== undefined) records.set(key, restrict(record, overlay));
  }
  return records;
}

/** What a set of layers puts in force. */
export function objectsInForce(layers: PolicyLayers): readonly PolicyRecord['object'][] {
  return [...recordsInForce(layers).values()].filter(({ withdrawn }) => !withdrawn).map(({ object }) => object);
}

/** In what two sets of layers differ. */
export function differencesOf(before: PolicyLayers, after: PolicyLayers): readonly LayerDifference[] {
  return LAYERS.flatMap((layer) => {
    const [old, next] = [before[layer], after[layer]];
    if (old === next) return [];
    return [...new Set([...old.keys(), ...next.keys()])].flatMap((key): LayerDifference[] => {
      // What nobody touched is the same object: of a thousand records, nearly all.
      if (old.get(key) === next.get(key)) return [];
      const [was, is] = [valueOf(old.get(key)), valueOf(next.get(key))];
      return isDeepStrictEqual(was, is) ? [] : [{ layer, key, before: was, value: is }];
    });
  });
}

export function changeOf({ layer, key, value }: LayerValue): Change {
  const collection = COLLECTIONS[layer];
  return value === null ? { kind: 'delete', collection, key } : { kind: 'put', collection, key, value };
}

/** @throws MeshError `STATE_FILE_CORRUPT` */
export function withValues(layers: PolicyLayers, values: readonly LayerValue[]): PolicyLayers {
  const files = new Map(layers.files);
  const operators = new Map(layers.operators);
  const overlays = new Map(layers.overlays);
  const aside = new Map(layers.aside);
  for (const { layer, key, value } of values) {
    if (value === null) ({ files, operators, overlays, aside })[layer].delete(key);
    else if (layer === 'files') files.set(key, recordFromJson(key, value));
    else if (layer === 'operators') operators.set(key, recordFromJson(key, value));
    else if (layer === 'overlays') overlays.set(key, value as unknown as Overlay);
    else aside.set(key, value as unknown as SetAside);
  }
  return { files, operators, overlays, aside };
}

/** The map without a key, or with another value for it. */
export function withEntry<T>(map: ReadonlyMap<string, T>, key: string, value: T | undefined): ReadonlyMap<string, T> {
  const next = new Map(map);
  if (value === undefined) next.delete(key);
  else next.set(key, value);
  return next;
}

/** Short enough to be typed, long enough not to be met by chance. */
export function digestOfFiles(files: ReadonlyMap<string, { readonly sha256: string }>): string {
  const lines = [...files].map(([file, { sha256 }]) => `${sha256} ${file}`).toSorted();
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}

function restrict(record: PolicyRecord, overlay: Overlay): PolicyRecord {
  const { object } = record;
  const note = { ...record.note, restricted_by: overlay.operator };
  switch (object.kind) {
    case 'baseline': {
      const state = later(BASELINE_STATES, object.value.state, overlay.state);
      return { ...record, note, object: { kind: 'baseline', value: { ...object.value, state } } };
    }
    case 'agent':
      return { ...record, note, object: { kind: 'agent', value: restrictAgent(object.value, overlay) } };
    case 'grant': {
      const value = restrictGrant(object.value, overlay);
      const withdrawn = record.withdrawn || overlay.withdrawn === true || value.calls?.length === 0;
      // A withdrawn grant keeps its calls: an empty list is no grant that could be stored or shown.
      return { ...record, note, withdrawn, object: withdrawn ? object : { kind: 'grant', value } };
    }
    case 'inference_service':
      return { ...record, note, withdrawn: record.withdrawn || overlay.withdrawn === true };
    case 'revocation':
      return record;
  }
}

function restrictAgent({ observeUntil, ...agent }: AgentRecord, overlay: Overlay): AgentRecord {
  const until = observeUntil === undefined ? 0 : Math.min(observeUntil, overlay.observeUntil ?? observeUntil);
  const lifecycle = later(LIFECYCLES, agent.lifecycle, overlay.lifecycle);
  return { ...agent, lifecycle, ...(until > 0 && { observeUntil: until }) };
}

/** A text that is no pattern, which nobody could have put here, permits nothing. */
function restrictGrant(grant: Grant, { calls: texts }: Overlay): Grant {
  if (texts === undefined) return grant;
  const patterns = texts.flatMap((text) => {
    const reading = readCallPattern(text);
    return reading.ok ? [reading.pattern] : [];
  });
  return { ...grant, calls: sharedCalls(grant.calls, patterns) };
}

/** Of two steps on a way that goes from more to less, the one that leaves less. */
function later<Step extends string>(way: readonly Step[], one: Step, other: Step | undefined): Step {
  return other !== undefined && way.indexOf(other) > way.indexOf(one) ? other : one;
}

function valueOf(value: PolicyRecord | Overlay | SetAside | undefined): JsonValue {
  if (value === undefined) return null;
  return 'object' in value ? recordToJson(value) : { ...value };
}

function recordToJson(record: PolicyRecord): JsonObject {
  const { file, line, column, object, withdrawn, group, note, operator } = record;
  return {
    file,
    line,
    column,
    withdrawn,
    group,
    note: { ...note },
    ...(operator !== undefined && { operator }),
    object: toPlain(stateObjectToJson(object)),
  };
}

/** Without the missing prototypes of strict JSON, which would make equal values look different. */
function toPlain(json: JsonObject): JsonValue {
  return JSON.parse(JSON.stringify(json)) as JsonValue;
}

function recordFromJson(key: string, value: JsonValue): PolicyRecord {
  try {
    const stored = value as Omit<PolicyRecord, 'object' | 'key'> & { readonly object: JsonValue };
    const object = parseStateObject(stored.object) as PolicyRecord['object'];
    return { ...stored, key, object };
  } catch (cause) {
    if (!isMeshError(cause)) throw cause;
    throw new MeshError('STATE_FILE_CORRUPT', `the stored policy ${key} cannot be read: ${cause.message}`, { cause });
  }
}
