import { createHash } from 'node:crypto';
import { differencesOf, recordsInForce, type PolicyLayers, type SetAside } from './policy-layers.ts';
import type { PolicyFile, PolicyRecord } from './policy-objects.ts';
import { mergePolicy } from './policy-registry.ts';
import type { PolicyProblem } from './policy-yaml.ts';

/** One file as it is now. */
export interface FileReading {
  readonly file: PolicyFile;
  /** Of its text; empty where it cannot be read. */
  readonly sha256: string;
}

export function sha256OfText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What the brake says of a change: nothing, or why it must not be made. */
export type BrakeVerdict = 'too_large' | 'unknown' | undefined;

export interface FileChange {
  /** With what the brake lets through, and with what it holds set aside. */
  readonly layers: PolicyLayers;
  readonly problems: readonly PolicyProblem[];
  /** Files that were not held before and are now. */
  readonly held: readonly string[];
  /** Files that wait until it is known whom they would cut. */
  readonly waiting: readonly string[];
}

/** More changed files than this are held together: to ask about each alone would take too long. */
const MAX_ASKED_ALONE = 100;

/**
 * What the directory's files make of the layers. Where the whole would cut too many, the files that would cut somebody
 * by themselves are held, and the others take effect if they then cut nobody; so what is held does not stand in the way
 * of what has nothing to do with it. Where that does not help, all that changed is held together.
 */
export function changeByFiles(
  layers: PolicyLayers,
  readings: readonly FileReading[],
  brake: (next: PolicyLayers) => BrakeVerdict,
): FileChange {
  const known = stillAside(layers.aside, readings);
  const whole = takeFiles({ ...layers, aside: known }, readings, []);
  const verdict = brake(whole.layers);
  if (verdict === undefined) return { ...whole, held: [], waiting: [] };

  const changed = changedFiles(layers, whole.layers);
  const alone = (file: string) =>
    takeFiles(
      { ...layers, aside: known },
      readings,
      changed.filter((other) => other !== file),
    ).layers;
  const harmful =
    changed.length > MAX_ASKED_ALONE ? changed : changed.filter((file) => brake(alone(file)) !== undefined);
  const rest = takeFiles({ ...layers, aside: known }, readings, harmful);
  const stopped = harmful.length > 0 && brake(rest.layers) === undefined ? harmful : changed;
  const { layers: left, problems } =
    stopped === harmful ? rest : takeFiles({ ...layers, aside: known }, readings, changed);
  if (verdict === 'unknown') return { layers: left, problems, held: [], waiting: stopped };
  return { layers: left, problems, held: stopped, waiting: [] };
}

/** The layers with these files set aside as they are. */
export function setAside(
  layers: PolicyLayers,
  readings: readonly FileReading[],
  { files, why, note }: { readonly files: readonly string[]; readonly why: SetAside['why']; readonly note: string },
): PolicyLayers {
  const aside = new Map(layers.aside);
  for (const { file, sha256 } of readings) if (files.includes(file.file)) aside.set(file.file, { sha256, why, note });
  return { ...layers, aside };
}

/** Files that would bring something else in force if they were read now. */
export function disagreeingFiles(layers: PolicyLayers, readings: readonly FileReading[]): readonly string[] {
  return changedFiles(layers, takeFiles(layers, readings, []).layers);
}

/** Which files' records differ. */
function changedFiles(before: PolicyLayers, after: PolicyLayers): readonly string[] {
  const files = differencesOf(before, after).flatMap(({ layer, key }) =>
    layer === 'files' ? [after.files.get(key)?.file ?? before.files.get(key)?.file ?? ''] : [],
  );
  return [...new Set(files)].toSorted();
}

/** What was set aside stays so until its file has another text; a file that is not there has none. */
function stillAside(aside: PolicyLayers['aside'], readings: readonly FileReading[]): PolicyLayers['aside'] {
  const texts = new Map(readings.map(({ file, sha256 }) => [file.file, sha256]));
  return new Map([...aside].filter(([file, { sha256 }]) => (texts.get(file) ?? sha256) === sha256));
}

function takeFiles(
  layers: PolicyLayers,
  readings: readonly FileReading[],
  without: readonly string[],
): { readonly layers: PolicyLayers; readonly problems: readonly PolicyProblem[] } {
  const asked = readings.map(({ file }): PolicyFile => {
    if (!without.includes(file.file) && !layers.aside.has(file.file)) return file;
    return { file: file.file, records: [], problems: [], empty: false, setAside: true };
  });
  const { records: files, problems } = mergePolicy(layers.files, asked, layers.operators);
  // A file that says what an operator said takes it over.
  const operators = new Map([...layers.operators].filter(([key]) => !files.has(key)));
  const next = { ...layers, files, operators };
  return { layers: next, problems: [...problems, ...unregistered(next)] };
}

/** Baselines for nobody: the usual cause is a name that was mistyped. */
function unregistered(layers: PolicyLayers): readonly PolicyProblem[] {
  const records = recordsInForce(layers);
  return [...records.values()].flatMap(({ key, file, line, column, object, operator }: PolicyRecord) => {
    if (operator !== undefined || object.kind !== 'baseline' || object.value.state !== 'approved') return [];
    if (records.has(`agent ${object.value.agent}`)) return [];
    const message = `${key} is for ${object.value.agent}, which is not registered`;
    return [{ severity: 'warning' as const, file, line, column, field: 'agent', message }];
  });
}
