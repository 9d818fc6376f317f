import { parse } from 'yaml';
import { differencesBetween, DIMENSIONS } from '../../domain/measurement.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import { writeFileAtomic } from '../../platform/atomic-file.ts';
import { MeasurementProblem } from '../../sidecar/measure/measurement-problem.ts';
import type { CommandOutput } from '../command-output.ts';
import { rememberApproved } from './approved-text.ts';
import { agentLabel, parseMinimumAssurance, readBaselineFile, writeBaseline } from './baseline-file.ts';
import { differenceJson, differenceLines, type ReportedDifference } from './difference-report.ts';
import { CannotMeasure, loadMeasureConfig, measureOnce } from './measure-once.ts';

/** Stable: CI jobs depend on them. */
export const EXIT = { same: 0, different: 1, usage: 2, cannotMeasure: 3 } as const;

export interface BuildOptions {
  readonly agent: string;
  readonly config: string;
  readonly approvedBy: string;
  readonly approvedAt: string;
  readonly id?: string;
  readonly minimumAssurance?: readonly string[];
  readonly output?: string;
  readonly json?: boolean;
}

export function buildBaseline(options: BuildOptions, output: CommandOutput): Promise<void> {
  return reporting(options, output, async () => {
    const { measurement, notes } = await measureOnce(loadMeasureConfig(options.config));
    const { id, text } = writeBaseline({
      agent: options.agent,
      ...(options.id !== undefined && { id: options.id }),
      approvedBy: options.approvedBy,
      approvedAt: options.approvedAt,
      minimumAssurance: parseMinimumAssurance(options.minimumAssurance ?? [], measurement),
      digests: measurement,
    });
    for (const note of notes) output.error(`note: ${note}`);
    if (options.output !== undefined) await writeFileAtomic(options.output, text, { mode: 0o644 });
    if (options.json === true) {
      output.print(JSON.stringify({ ok: true, id, output: options.output ?? null, notes, baseline: parse(text) }));
    } else if (options.output === undefined) output.print(text.trimEnd());
    else output.print(`${id} written to ${options.output}`);
    return EXIT.same;
  });
}

export interface VerifyOptions {
  readonly config: string;
  readonly id?: string;
  readonly approvedText?: readonly string[];
  readonly json?: boolean;
}

export function verifyBaseline(file: string, options: VerifyOptions, output: CommandOutput): Promise<void> {
  return reporting(options, output, async () => {
    const baseline = readBaselineFile(file, options.id);
    const config = loadMeasureConfig(options.config);
    const { measurement, notes, memory } = await measureOnce(config);
    const { digests } = baseline;
    rememberApproved(options.approvedText ?? [], { digests, memory, config });
    const differences = differencesBetween(digests, measurement).map((difference): ReportedDifference => {
      const { dimension, expected, observed } = difference;
      if (dimension !== 'system_prompt' || expected === undefined || observed === undefined) return difference;
      const text = memory.describe(expected, observed);
      return text === undefined ? difference : { ...difference, text };
    });
    const same = differences.length === 0;
    const { id, state } = baseline;
    if (options.json === true) {
      output.print(
        JSON.stringify({
          ok: same,
          id,
          agent: agentLabel(baseline),
          state,
          differences: differenceJson(differences),
          notes,
        }),
      );
    } else {
      output.print(same ? `equal: the measurement is ${id}` : `drift: the measurement is not ${id}`);
      for (const line of differenceLines(differences, ['expected', 'observed'])) output.print(line);
      for (const note of notes) output.print(`note: ${note}`);
      if (state !== 'approved') output.print(`note: the baseline is ${state}, so it admits nobody`);
    }
    return same ? EXIT.same : EXIT.different;
  });
}

export interface DiffOptions {
  readonly json?: boolean;
}

export function diffBaselines(
  left: string,
  right: string,
  options: DiffOptions & { output: CommandOutput },
): Promise<void> {
  const { output } = options;
  return reporting(options, output, () => {
    const [a, b] = [readBaselineFile(left), readBaselineFile(right)];
    const differences: ReportedDifference[] = differencesBetween(a.digests, b.digests);
    const demands = DIMENSIONS.filter(
      (dimension) => a.minimumAssurance[dimension] !== b.minimumAssurance[dimension],
    ).map((dimension) => ({ dimension, a: a.minimumAssurance[dimension], b: b.minimumAssurance[dimension] }));
    const same = differences.length === 0 && demands.length === 0 && a.agent === b.agent;
    if (options.json === true) {
      const sides = { a: { id: a.id, agent: agentLabel(a) }, b: { id: b.id, agent: agentLabel(b) } };
      output.print(
        JSON.stringify({ ok: same, ...sides, differences: differenceJson(differences), minimum_assurance: demands }),
      );
    } else {
      output.print(same ? `same: ${a.id} and ${b.id} approve the same` : `different: ${a.id} and ${b.id}`);
      if (a.agent !== b.agent) output.print(`agent\n  a  ${agentLabel(a)}\n  b  ${agentLabel(b)}`);
      for (const line of differenceLines(differences, ['a', 'b'])) output.print(line);
      for (const each of demands) output.print(`minimum_assurance ${each.dimension}\n  a  ${each.a}\n  b  ${each.b}`);
    }
    return Promise.resolve(same ? EXIT.same : EXIT.different);
  });
}

/** Turns what went wrong into a message and an exit code. A defect is thrown on. */
async function reporting(
  { json }: { readonly json?: boolean },
  output: CommandOutput,
  run: () => Promise<number>,
): Promise<void> {
  try {
    output.exitCode(await run());
  } catch (error) {
    const told = explain(error);
    if (told === undefined) throw error;
    const { exitCode, code, message, hint } = told;
    if (json === true) output.print(JSON.stringify({ ok: false, error: { code, message, hint: hint ?? null } }));
    else output.error(hint === undefined ? `error: ${message}` : `error: ${message}\n  ${hint}`);
    output.exitCode(exitCode);
  }
}

function explain(
  error: unknown,
): { exitCode: number; code: string; message: string; hint?: string | undefined } | undefined {
  if (error instanceof CannotMeasure) {
    const { code, detail } = error.rejection;
    return { exitCode: EXIT.cannotMeasure, code, message: `cannot measure: ${detail}` };
  }
  if (error instanceof MeasurementProblem) return { exitCode: EXIT.usage, code: error.reason, message: error.message };
  if (isMeshError(error)) return { exitCode: EXIT.usage, code: error.code, message: error.message, hint: error.hint };
  if (error instanceof Error && 'syscall' in error) {
    return { exitCode: EXIT.usage, code: 'FILE_UNREADABLE', message: error.message };
  }
  return undefined;
}
