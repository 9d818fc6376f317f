import { isDeepStrictEqual } from 'node:util';
import { stateObjectToJson } from '../../domain/state-objects.ts';
import type { PolicyFile, PolicyRecord } from './policy-objects.ts';
import type { PolicyProblem } from './policy-yaml.ts';

export interface PolicyMerge {
  /** Everything in force afterwards, by key. */
  readonly records: ReadonlyMap<string, PolicyRecord>;
  readonly problems: readonly PolicyProblem[];
}

/**
 * Works out what is in force after reading the directory. A file counts as a whole: with one error in it, it changes
 * nothing. What is in force leaves it only when somebody says so (`state: retired`, `lifecycle: retired`, `state:
 * withdrawn`): a file that vanished, was emptied or cut off takes nothing with it, and the operator is told. Taking a
 * callee off the list of a grant that is still there is saying so, too, if the file ends with a line break: half a file
 * seldom does.
 *
 * Two files with one object: the file keeps it from which it is in force as long as it has it, else the first by name
 * gets it; the other counts as broken. So does a file that gives a baseline's id to another agent, or says of what
 * operators put in force something else than they did; one that says the same takes it over.
 *
 * @param current what is in force from files; `operators`: what is from operators.
 */
export function mergePolicy(
  current: ReadonlyMap<string, PolicyRecord>,
  files: readonly PolicyFile[],
  operators: ReadonlyMap<string, PolicyRecord> = new Map(),
): PolicyMerge {
  const sorted = files.toSorted((a, b) => (a.file < b.file ? -1 : 1));
  const problems = sorted.flatMap((file) => file.problems);
  const owners = findOwners(current, sorted);
  const grants = grantsByFile(current);
  const records = new Map(current);
  const said = new Set<string>();

  for (const file of sorted) {
    const own = grants.get(file.file) ?? [];
    const lacksSome = own.some(({ key }) => !file.records.some((record) => record.key === key));
    const objections = file.records.flatMap((record) => {
      const message =
        objectionTo(record, { owner: owners.get(record.key), current, operators }) ??
        (file.cutOff === true ? objectionToHalf(record, { before: current.get(record.key), lacksSome }) : undefined);
      const { line, column } = record;
      return message === undefined
        ? []
        : [{ severity: 'error' as const, file: file.file, line, column, field: 'id', message }];
    });
    problems.push(...objections);
    if (objections.length > 0 || isBroken(file)) {
      for (const { key, file: owner } of current.values()) if (owner === file.file) said.add(key);
      continue;
    }
    for (const record of file.records) {
      owners.set(record.key, file.file);
      records.set(record.key, record);
      said.add(record.key);
    }
    const gone = delisted(own, file);
    // Half a list must not pass for a shorter one; what it lacks is told as what stays in force.
    if (file.cutOff !== true) for (const { key } of gone) records.delete(key);
  }
  for (const record of records.values()) {
    if (!said.has(record.key)) problems.push(leftover(record));
  }
  return { records, problems };
}

function objectionTo(
  { key, file, object }: PolicyRecord,
  known: {
    readonly owner: string | undefined;
    readonly current: ReadonlyMap<string, PolicyRecord>;
    readonly operators: ReadonlyMap<string, PolicyRecord>;
  },
): string | undefined {
  const { owner = file, current, operators } = known;
  if (owner !== file) return `${key} is defined in ${owner} already, so this file has no effect`;
  const theirs = operators.get(key);
  if (theirs !== undefined && !isDeepStrictEqual(stateObjectToJson(theirs.object), stateObjectToJson(object))) {
    return `${key} was put in force by operator ${theirs.operator}, and differently; give this one another id, or change that one there`;
  }
  const before = current.get(key)?.object;
  if (object.kind === 'baseline' && before?.kind === 'baseline' && before.value.agent !== object.value.agent) {
    return `${key} is of ${before.value.agent}; what is approved for ${object.value.agent} needs an id of its own`;
  }
  return undefined;
}

/** Half a list of calls permits less than was meant, a grant before its list is written all, and half a name another. */
function objectionToHalf(
  { key, object }: PolicyRecord,
  { before, lacksSome }: { readonly before: PolicyRecord | undefined; readonly lacksSome: boolean },
): string | undefined {
  if (object.kind !== 'grant') return undefined;
  const advice = 'in a file that may be half of what is being written; end it with a line break';
  if (before?.object.kind !== 'grant') return lacksSome ? `${key} takes the place of another, ${advice}` : undefined;
  if (isDeepStrictEqual(before.object.value.calls, object.value.calls)) return undefined;
  return `${key} has other calls than those in force, ${advice}`;
}

function findOwners(current: ReadonlyMap<string, PolicyRecord>, files: readonly PolicyFile[]): Map<string, string> {
  const byName = new Map(files.map((file) => [file.file, file]));
  const owners = new Map<string, string>();
  for (const { key, file: name } of current.values()) {
    const file = byName.get(name);
    // A broken file may still mean what it said before.
    if (file !== undefined && (isBroken(file) || file.records.some((record) => record.key === key))) {
      owners.set(key, name);
    }
  }
  return owners;
}

function grantsByFile(current: ReadonlyMap<string, PolicyRecord>): ReadonlyMap<string, readonly PolicyRecord[]> {
  const grants = new Map<string, PolicyRecord[]>();
  for (const record of current.values()) {
    if (!isGrant(record)) continue;
    const same = grants.get(record.file);
    if (same === undefined) grants.set(record.file, [record]);
    else same.push(record);
  }
  return grants;
}

/** Grants that were listed in this file together with others that still are. @param grants in force from this file */
function delisted(grants: readonly PolicyRecord[], file: PolicyFile): readonly PolicyRecord[] {
  const keys = new Set(file.records.map(({ key }) => key));
  const groups = new Set(file.records.filter(isGrant).map(({ group }) => group));
  return grants.filter(({ group, key }) => groups.has(group) && !keys.has(key));
}

function isGrant({ object }: PolicyRecord): boolean {
  return object.kind === 'grant';
}

function isBroken({ problems, setAside }: PolicyFile): boolean {
  return setAside === true || problems.some(({ severity }) => severity === 'error');
}

const WITHDRAWAL = {
  agent: 'set `lifecycle: retired`',
  baseline: 'set `state: retired` or `state: revoked`',
  grant: 'set `state: withdrawn`',
  inference_service: 'set `state: withdrawn`',
  revocation: 'know that nothing takes a revocation back',
} as const satisfies Record<PolicyRecord['object']['kind'], string>;

function leftover({ key, file, object }: PolicyRecord): PolicyProblem {
  const message = `${key} stays in force, though the file does not have it any more; to withdraw it, put it back, and ${WITHDRAWAL[object.kind]}`;
  return { severity: 'warning', file, line: 0, column: 0, field: '', message };
}
