import { cpus } from 'node:os';

/** The value below which the share `p` (0 to 1) of the values lies; nearest rank. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Median of the rounds' ratios: what disturbs a round disturbs both. `NaN` where the rounds are not the same number. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length) return Number.NaN;
  return median(ours.map((value, round) => value / (theirs[round] ?? Number.NaN)));
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * Slope of the straight lines, one through each series and all of one slope, that fit best (least squares): how far one
 * series lies above another says nothing. `NaN` where no series has two points of different x.
 */
export function slopeOf(...series: readonly (readonly Point[])[]): number {
  const parts = series.map((points) => {
    const mean = (of: (point: Point) => number) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
    const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
    const sum = (of: (dx: number, dy: number) => number) =>
      points.reduce((total, point) => total + of(point.x - x, point.y - y), 0);
    return { covariance: sum((dx, dy) => dx * dy), spread: sum((dx) => dx * dx) };
  });
  const total = (of: (part: { covariance: number; spread: number }) => number) =>
    parts.reduce((sum, part) => sum + of(part), 0);
  return total(({ covariance }) => covariance) / total(({ spread }) => spread);
}

export type Row = Readonly<Record<string, string | number>>;

/** Rows of the same columns, under a heading. */
export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** Rows of a result, or several tables of them, and the claims that were checked on it. */
export interface Result {
  readonly name: string;
  readonly rows?: readonly Row[];
  readonly sections?: readonly Section[];
  readonly targets: readonly Target[];
  readonly notes?: readonly string[];
}

export interface Target {
  readonly claim: string;
  readonly measured: number;
  readonly limit: number;
  /** Whether more than the limit is wanted, instead of less. Default: `most`. */
  readonly bound?: 'most' | 'least';
}

/** `NaN`, which is what nothing measured comes to, meets nothing. */
export function isMet({ measured, limit, bound = 'most' }: Target): boolean {
  return bound === 'most' ? measured <= limit : measured >= limit;
}

/** Prints a result, as a table or as one JSON document. A missed target is said, and the exit code is 1. */
export function report(result: Result, { json }: { json: boolean }): void {
  const machine = { node: process.version, cpus: cpus().length, model: cpus()[0]?.model ?? 'unknown' };
  const targets = result.targets.map((target) => ({ ...target, met: isMet(target) }));
  if (targets.some(({ met }) => !met)) process.exitCode = 1;
  if (json) {
    console.log(JSON.stringify({ ...result, targets, machine }));
    return;
  }
  if (result.rows !== undefined) print(result.rows);
  for (const { title, rows } of result.sections ?? []) {
    console.log(`${title}\n`);
    print(rows);
  }
  for (const { claim, measured, limit, bound = 'most', met } of targets) {
    console.log(`${met ? 'met   ' : 'MISSED'} ${claim}: ${rounded(measured)} (at ${bound} ${limit})`);
  }
  for (const note of result.notes ?? []) console.log(`note: ${note}`);
  console.log(`machine: ${machine.cpus} × ${machine.model}, Node ${machine.node}`);
}

function print(rows: readonly Row[]): void {
  for (const line of tableOf(rows)) console.log(line);
  console.log('');
}

export function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(3));
}

function tableOf(rows: readonly Row[]): string[] {
  const names = Object.keys(rows[0] ?? {});
  const cells = [names, ...rows.map((row) => names.map((name) => textOf(row[name])))];
  const widths = names.map((_, column) => Math.max(...cells.map((line) => (line[column] ?? '').length)));
  const lines = cells.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  return lines.toSpliced(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
}

function textOf(cell: string | number | undefined): string {
  return typeof cell === 'number' ? String(rounded(cell)) : (cell ?? '');
}
