import type { Difference } from '../../domain/measurement.ts';
import type { PromptDifference } from '../../sidecar/measure/prompt-memory.ts';

/** A difference, and for a prompt whose texts are known, where in the text it begins. */
export interface ReportedDifference extends Difference {
  readonly text?: PromptDifference;
}

/** Lines for a person: each item with both values, under each other so that the eye can compare them. */
export function differenceLines(
  differences: readonly ReportedDifference[],
  [left, right]: readonly [left: string, right: string],
): string[] {
  const width = Math.max(left.length, right.length);
  return differences.flatMap(({ dimension, item, expected, observed, text }) => [
    item === '' ? dimension : `${dimension} ${JSON.stringify(item)}`,
    `  ${left.padEnd(width)}  ${expected ?? '(absent)'}`,
    `  ${right.padEnd(width)}  ${observed ?? '(absent)'}`,
    ...(text === undefined ? [] : [`  ${textLine(text)}`]),
  ]);
}

function textLine({ whitespaceOnly, byteOffset, line, column, part }: PromptDifference): string {
  const what = whitespaceOnly ? 'only whitespace differs' : 'the text differs';
  const where = part === undefined ? '' : ` of file ${part}`;
  return `${what}: first at byte ${byteOffset}${where} (line ${line}, column ${column})`;
}

/** For machines: a member that is absent on one side is null. */
export function differenceJson(differences: readonly ReportedDifference[]): unknown[] {
  return differences.map(({ dimension, item, expected, observed, text }) => ({
    dimension,
    item,
    expected: expected ?? null,
    observed: observed ?? null,
    ...(text !== undefined && { text }),
  }));
}
