import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unifiedDiff, type DiffLimits } from '../../../../src/domain/canonical/line-diff.ts';

const diff = (before: string, after: string, limits: DiffLimits = { maxBytes: 1_000_000 }) =>
  unifiedDiff({ name: 'approved', text: before }, { name: 'measured', text: after }, limits);

/** Applies a unified diff as `patch` would: strictly. */
function patch(text: string, changes: string): string {
  if (changes === '') return text;
  const old = text.split(/(?<=\n)/).filter((line) => line !== '');
  const result: string[] = [];
  let at = 0;
  const lines = changes.split('\n').slice(2, -1);
  lines.forEach((line, index) => {
    const ending = lines[index + 1]?.startsWith('\\') === true ? '' : '\n';
    const header = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(line);
    if (header !== null) {
      const start = header[2] === '0' ? Number(header[1]) : Number(header[1]) - 1;
      result.push(...old.slice(at, start));
      at = start;
      assert.equal(
        result.length,
        header[4] === '0' ? Number(header[3]) : Number(header[3]) - 1,
        'place in the new text',
      );
    } else if (line.startsWith(' ') || line.startsWith('-')) {
      assert.equal(old[at], line.slice(1) + ending);
      if (line.startsWith(' ')) result.push(old[at]!);
      at += 1;
    } else if (line.startsWith('+')) result.push(line.slice(1) + ending);
    else assert.match(line, /^\\/);
  });
  return [...result, ...old.slice(at)].join('');
}

test('equal texts have no difference', () => {
  assert.equal(diff('a\nb\n', 'a\nb\n'), '');
  assert.equal(diff('', ''), '');
});

test('one changed line stands with three lines of context on each side', () => {
  const before = ['1', '2', '3', '4', '5', '6', '7', '8', '9', ''].join('\n');
  assert.equal(
    diff(before, before.replace('5', 'five')),
    '--- approved\n+++ measured\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n',
  );
});

test('an end without a newline is said, as diff says it', () => {
  const expected = '--- approved\n+++ measured\n@@ -1,2 +1,2 @@\n a\n-b\n+b\n\\ No newline at end of file\n';
  assert.equal(diff('a\nb\n', 'a\nb'), expected);
  assert.equal(diff('', 'x\n'), '--- approved\n+++ measured\n@@ -0,0 +1,1 @@\n+x\n');
  assert.equal(diff('x\n', ''), '--- approved\n+++ measured\n@@ -1,1 +0,0 @@\n-x\n');
});

const texts = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'c', '', '-', '+', '@@', '\\'), { maxLength: 30 }), fc.boolean())
  .map(([lines, ends]) => lines.join('\n') + (ends && lines.length > 0 ? '\n' : ''));

test('applied to the old text, a difference makes the new one', () => {
  fc.assert(fc.property(texts, texts, (before, after) => assert.equal(patch(before, diff(before, after)), after)));
});

test('so it does when the search was given up', () => {
  const limits = { maxBytes: 1_000_000, maxSteps: 0 };
  fc.assert(
    fc.property(texts, texts, (before, after) => assert.equal(patch(before, diff(before, after, limits)), after)),
  );
});

test('the script is as short as can be', () => {
  const before = 'a\nb\nc\na\nb\nb\na\n';
  const after = 'c\nb\na\nb\na\nc\n';
  const edits = diff(before, after)
    .split('\n')
    .slice(2)
    .filter((line) => /^[-+]/.test(line));
  assert.equal(edits.length, 5, "the paper's own example takes five edits");
});

test('the result is never longer than its bound, and says that it was cut', () => {
  const after = Array.from({ length: 5_000 }, (_, index) => `${index} ünïcödé`).join('\n');
  for (const maxBytes of [200, 1_000, 131_072]) {
    const text = diff('start\n', after, { maxBytes });
    assert.ok(Buffer.byteLength(text) <= maxBytes, `${Buffer.byteLength(text)} of ${maxBytes}`);
    if (maxBytes < 100_000) assert.match(text, /… cut here: the difference is longer than \d+ bytes\n$/);
  }
  const oneLine = diff('a', '\u{1f600}'.repeat(100_000), { maxBytes: 1_000 });
  assert.ok(Buffer.byteLength(oneLine) <= 1_000);
  assert.ok(!oneLine.includes('\uFFFD'));
});

test('hostile texts of a megabyte take no longer than a blink', () => {
  const before = Array.from({ length: 200_000 }, (_, index) => String(index % 7)).join('\n');
  const after = Array.from({ length: 200_000 }, (_, index) => String(index % 11)).join('\n');
  const start = performance.now();
  diff(before, after, { maxBytes: 131_072 });
  assert.ok(performance.now() - start < 2_000);
});
