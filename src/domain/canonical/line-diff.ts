/** What `unifiedDiff` may cost and how much it may say. */
export interface DiffLimits {
  /** Longest result, in bytes of UTF-8; what is over is cut off at a line, and said so. */
  readonly maxBytes: number;
  /** Steps of the search, each about 10 ns; past them what lies between the common ends is given as replaced. */
  readonly maxSteps?: number;
}

/** Lines `start` to `end` (without it) of the old text became those of the new one. */
interface Change {
  readonly oldStart: number;
  readonly oldEnd: number;
  readonly newStart: number;
  readonly newEnd: number;
}

const CONTEXT_LINES = 3;
const MAX_STEPS = 500_000;
const NO_NEWLINE = '\\ No newline at end of file';

/**
 * A unified diff of two texts, line by line, as `diff -u` writes it; empty when they are equal. Lines end at LF.
 *
 * The shortest script is looked for with Myers' algorithm ("An O(ND) Difference Algorithm and Its Variations", 1986),
 * as long as that is cheap: the new text may be made by an attacker, and whoever waits for it does other things, too.
 */
export function unifiedDiff(
  before: { readonly name: string; readonly text: string },
  after: { readonly name: string; readonly text: string },
  { maxBytes, maxSteps = MAX_STEPS }: DiffLimits,
): string {
  if (before.text === after.text) return '';
  const [oldLines, newLines] = [linesOf(before.text), linesOf(after.text)];
  const changes = changesBetween(oldLines, newLines, maxSteps);
  const out = new BoundedText(maxBytes);
  if (!out.add(`--- ${before.name}`) || !out.add(`+++ ${after.name}`)) return out.text;
  for (const hunk of hunksOf(changes)) {
    if (!writeHunk(hunk, { oldLines, newLines, out })) break;
  }
  return out.text;
}

/** Each with its LF, so that a text that ends without one differs in its last line. */
function linesOf(text: string): readonly string[] {
  const lines = text.split('\n');
  const last = lines.pop() ?? '';
  return [...lines.map((line) => `${line}\n`), ...(last === '' ? [] : [last])];
}

function changesBetween(oldLines: readonly string[], newLines: readonly string[], maxSteps: number): Change[] {
  const shorter = Math.min(oldLines.length, newLines.length);
  let head = 0;
  while (head < shorter && oldLines[head] === newLines[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && oldLines[oldLines.length - 1 - tail] === newLines[newLines.length - 1 - tail])
    tail += 1;
  // Lines as numbers: comparing them then costs the same however long they are.
  const numbers = new Map<string, number>();
  const numberOf = (line: string): number => {
    const known = numbers.get(line) ?? numbers.size;
    numbers.set(line, known);
    return known;
  };
  const a = oldLines.slice(head, oldLines.length - tail).map(numberOf);
  const b = newLines.slice(head, newLines.length - tail).map(numberOf);
  const found = shortestScript(a, b, maxSteps) ?? [{ oldStart: 0, oldEnd: a.length, newStart: 0, newEnd: b.length }];
  return found.map(({ oldStart, oldEnd, newStart, newEnd }) => ({
    oldStart: oldStart + head,
    oldEnd: oldEnd + head,
    newStart: newStart + head,
    newEnd: newEnd + head,
  }));
}

/** `undefined` when it would take too many steps. */
function shortestScript(a: readonly number[], b: readonly number[], maxSteps: number): Change[] | undefined {
  const most = a.length + b.length;
  /** By diagonal `x - y`, shifted: how far into `a` the furthest path of so many edits has come. */
  let furthest: Int32Array = new Int32Array([0, 0, 0]);
  const rounds: Int32Array[] = [];
  let steps = 0;
  for (let edits = 0; edits <= most; edits += 1) {
    const next = new Int32Array(2 * edits + 5);
    const at = (diagonal: number): number => furthest[diagonal + edits] ?? 0;
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const down = diagonal === -edits || (diagonal !== edits && at(diagonal - 1) < at(diagonal + 1));
      let x = edits === 0 ? 0 : down ? at(diagonal + 1) : at(diagonal - 1) + 1;
      let y = x - diagonal;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x += 1;
        y += 1;
        steps += 1;
      }
      steps += 1;
      next[diagonal + edits + 1] = x;
      if (x >= a.length && y >= b.length) {
        rounds.push(next);
        return traceBack(rounds, a.length, b.length);
      }
    }
    if (steps > maxSteps) return undefined;
    rounds.push(next);
    furthest = next;
  }
  return undefined;
}

/** Walks from the end to the beginning and joins edits that touch. */
function traceBack(rounds: readonly Int32Array[], oldLength: number, newLength: number): Change[] {
  const changes: Change[] = [];
  let [x, y] = [oldLength, newLength];
  for (let edits = rounds.length - 1; edits > 0; edits -= 1) {
    const before = rounds[edits - 1] ?? new Int32Array();
    const at = (diagonal: number): number => before[diagonal + edits] ?? 0;
    const diagonal = x - y;
    const down = diagonal === -edits || (diagonal !== edits && at(diagonal - 1) < at(diagonal + 1));
    const fromX = down ? at(diagonal + 1) : at(diagonal - 1);
    const fromY = fromX - (down ? diagonal + 1 : diagonal - 1);
    const [toX, toY] = down ? [fromX, fromY + 1] : [fromX + 1, fromY];
    const later = changes.at(-1);
    if (later !== undefined && later.oldStart === toX && later.newStart === toY) {
      changes[changes.length - 1] = { ...later, oldStart: fromX, newStart: fromY };
    } else changes.push({ oldStart: fromX, oldEnd: toX, newStart: fromY, newEnd: toY });
    [x, y] = [fromX, fromY];
  }
  return changes.toReversed();
}

/** Changes whose contexts touch stand together. */
function hunksOf(changes: readonly Change[]): readonly (readonly Change[])[] {
  const hunks: Change[][] = [];
  for (const change of changes) {
    const hunk = hunks.at(-1);
    const last = hunk?.at(-1);
    if (last !== undefined && change.oldStart - last.oldEnd <= 2 * CONTEXT_LINES) hunk?.push(change);
    else hunks.push([change]);
  }
  return hunks;
}

interface Page {
  readonly oldLines: readonly string[];
  readonly newLines: readonly string[];
  readonly out: BoundedText;
}

/** @returns false when there was no more room. */
function writeHunk(hunk: readonly Change[], { oldLines, newLines, out }: Page): boolean {
  const [first, last] = [hunk[0], hunk.at(-1)];
  if (first === undefined || last === undefined) return true;
  const lead = Math.min(CONTEXT_LINES, first.oldStart);
  const trail = Math.min(CONTEXT_LINES, oldLines.length - last.oldEnd);
  const [oldStart, newStart] = [first.oldStart - lead, first.newStart - lead];
  const range = (start: number, count: number): string => `${count === 0 ? start : start + 1},${count}`;
  const oldRange = range(oldStart, last.oldEnd + trail - oldStart);
  const newRange = range(newStart, last.newEnd + trail - newStart);
  if (!out.add(`@@ -${oldRange} +${newRange} @@`)) return false;
  const write = (mark: string, lines: readonly string[]): boolean => lines.every((line) => out.addLine(mark, line));
  let at = oldStart;
  for (const { oldStart: from, oldEnd, newStart: newFrom, newEnd } of hunk) {
    if (!write(' ', oldLines.slice(at, from))) return false;
    if (!write('-', oldLines.slice(from, oldEnd)) || !write('+', newLines.slice(newFrom, newEnd))) return false;
    at = oldEnd;
  }
  return write(' ', oldLines.slice(at, at + trail));
}

/** Lines up to a number of bytes. What does not fit is left out, and the last line says so. */
class BoundedText {
  readonly #maxBytes: number;
  readonly #lines: string[] = [];
  #bytes = 0;
  #full = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get text(): string {
    return this.#lines.join('');
  }

  addLine(mark: string, line: string): boolean {
    return line.endsWith('\n') ? this.add(mark + line.slice(0, -1)) : this.add(mark + line) && this.add(NO_NEWLINE);
  }

  /** @returns whether there was room. */
  add(line: string): boolean {
    if (this.#full) return false;
    const note = `… cut here: the difference is longer than ${this.#maxBytes} bytes\n`;
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#bytes + bytes + Buffer.byteLength(note) <= this.#maxBytes) {
      this.#lines.push(`${line}\n`);
      this.#bytes += bytes;
      return true;
    }
    this.#full = true;
    const room = this.#maxBytes - this.#bytes - Buffer.byteLength(note) - 1;
    if (room > 0) this.#lines.push(`${headOf(line, room)}\n`);
    this.#lines.push(note);
    return false;
  }
}

/** As many whole characters as fit into so many bytes. */
function headOf(line: string, bytes: number): string {
  return Buffer.from(line.slice(0, bytes))
    .subarray(0, bytes)
    .toString()
    .replace(/\uFFFD+$/u, '');
}
