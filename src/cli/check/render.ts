import type { Colors } from '../explain/explanation.ts';
import { printable } from '../mesh-report/plain-text.ts';
import { linkOf, type Finding, type Verdict } from './finding.ts';

const WORDS: Readonly<Record<Verdict, string>> = { ok: 'ok', warn: 'warn', fail: 'FAIL', skip: '-' };
const NAME_WIDTH = 20;
const WORD_WIDTH = 6;

export function countOf(findings: readonly Finding[]): Readonly<Record<Verdict, number>> {
  const counts = { ok: 0, warn: 0, fail: 0, skip: 0 };
  for (const { verdict } of findings) counts[verdict] += 1;
  return counts;
}

/** One line for each finding, in the order in which they were made; what is to be fixed has its advice and a page below. */
export function renderFindings(title: string, findings: readonly Finding[], colors: Colors): string {
  const { ok, warn, fail, skip } = countOf(findings);
  const colour = { ok: colors.green, warn: colors.yellow, fail: colors.red, skip: colors.dim };
  const lines = findings.flatMap(({ check, verdict, detail, fix }) => {
    const word = colour[verdict](WORDS[verdict].padEnd(WORD_WIDTH));
    const indent = ' '.repeat(WORD_WIDTH + NAME_WIDTH);
    const advice = fix === undefined ? [] : [`${indent}fix: ${printable(fix)}`, `${indent}see: ${linkOf(check)}`];
    return [`${word}${check.padEnd(NAME_WIDTH)}${printable(detail)}`, ...advice];
  });
  const summary =
    fail > 0
      ? colors.red(`${fail} to fix`)
      : warn > 0
        ? colors.yellow('nothing has to be fixed')
        : colors.green('all is in order');
  return [
    colors.bold(printable(title)),
    '',
    ...lines,
    '',
    `${summary}: ${fail} failed, ${warn} to look at, ${ok} in order, ${skip} not looked at`,
  ].join('\n');
}
