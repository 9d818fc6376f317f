import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSpiffeId } from '../../src/domain/agent-id.ts';
import { readCallPath } from '../../src/domain/calls/call-path.ts';
import { formatCallPattern, readCallPattern } from '../../src/domain/calls/call-pattern.ts';
import { checkPatternPath, compilePathGlob, splitPath } from '../../src/domain/calls/path-glob.ts';
import { createGrantTable } from '../../src/domain/grant-policy.ts';

const [from, to] = [parseSpiffeId('spiffe://acme.example/agent/a'), parseSpiffeId('spiffe://acme.example/agent/b')];

const covers = (pattern: string, path: string): boolean => compilePathGlob(pattern).matches(splitPath(path));

/** What the glob says, word by word, with all the backtracking it wants. */
function naive(pattern: readonly string[], path: readonly string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return path.length === 0;
  if (path.length === 0) return false;
  if (head !== '**') return naiveSegment(head, path[0] ?? '') && naive(rest, path.slice(1));
  if (path[0] === '') return false;
  return path.some((_, index) => naive(rest, path.slice(index + 1)));
}

function naiveSegment(pattern: string, text: string): boolean {
  if (pattern.includes('*') && text === '') return false;
  return naiveText(pattern, text);
}

function naiveText(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern[0] !== '*') return pattern[0] === text[0] && naiveText(pattern.slice(1), text.slice(1));
  return naiveText(pattern.slice(1), text) || (text !== '' && naiveText(pattern, text.slice(1)));
}

/** Few letters, so that things match. */
const word = (letters: readonly string[], max: number) =>
  fc.array(fc.constantFrom(...letters), { minLength: 1, maxLength: max }).map((parts) => parts.join(''));
const patternPath = fc
  .array(fc.oneof({ weight: 3, arbitrary: word(['a', 'b', '*'], 4) }, { weight: 1, arbitrary: fc.constant('**') }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((segments) => `/${segments.join('/')}`)
  .filter((pattern) => checkPatternPath(pattern) === undefined);
const plainPath = fc
  .tuple(fc.array(word(['a', 'b'], 4), { maxLength: 7 }), fc.boolean())
  .map(([segments, slash]) => `/${segments.join('/')}${slash && segments.length > 0 ? '/' : ''}`);

test('the matcher agrees with a naive one', () => {
  let covered = 0;
  fc.assert(
    fc.property(patternPath, plainPath, (pattern, path) => {
      // Of all patterns only this one covers the root.
      const expected = pattern === '/**' || naive(splitPath(pattern), splitPath(path));
      assert.equal(covers(pattern, path), expected);
      covered += Number(expected);
    }),
    { numRuns: 10_000 },
  );
  assert.ok(covered > 500, `only ${covered} of the paths were covered: the test would say little`);
});

/** Ways in which callees read a path, each on its own; any sequence of them is a callee, too. */
const READINGS: Record<string, (path: string) => string> = {
  decode: (path) => path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
  'decode leniently': (path) =>
    path.replaceAll(/%c0%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16) & 0x3f)),
  'merge slashes': (path) => path.replaceAll(/\/{2,}/g, '/'),
  'resolve dots': (path) => new URL(`http://h/${path.replaceAll(/[?#\\]/g, '_')}`).pathname.replace(/^\/{2,}/, '/'),
  'cut parameters': (path) => path.replaceAll(/;[^/]*/g, ''),
  'turn backslashes': (path) => path.replaceAll('\\', '/'),
  'cut at NUL': (path) => path.replace(/\0.*$/, ''),
  'cut the fragment': (path) => path.replace(/#.*$/, ''),
  'drop the last slash': (path) => (path.length > 1 ? path.replace(/\/$/, '') : path),
};
const TRICKS = ['/', '//', '.', '..', '/./', '/../', ';', ';a', '\\', '#', '%2F', '%2f', '%5C', '%2e', '%2E%2E', '%61'];
const MORE = ['%252F', '%25', '%00', '\0', '%C0%AF', '%C0%AE', '%3B', '%23', '%3F', '%41', '%'];
const HARMLESS = ['a', 'b', 'ab', '/a', '/b', '%20', '%40', '%C3%A9', ':'];
const spelling = fc
  .array(
    fc.oneof(
      { weight: 1, arbitrary: fc.constantFrom(...TRICKS, ...MORE) },
      { weight: 3, arbitrary: fc.constantFrom(...HARMLESS) },
    ),
    { maxLength: 8 },
  )
  .map((parts) => `/${parts.join('')}`);
const openPattern = fc.oneof(patternPath, fc.constantFrom('/**', '/a/**', '/*/*', '/a*/**', '/*b', '/**/b*'));
const anyText = fc.array(fc.nat({ max: 0xffff })).map((units) => String.fromCharCode(...units));

test('what is permitted under one spelling is permitted under what any callee may read it as', () => {
  let permitted = 0;
  const readings = fc.array(fc.constantFrom(...Object.keys(READINGS)), { maxLength: 5 });
  // A slash at the end of a pattern is its author's word that there are two resources; no such patterns here.
  fc.assert(
    fc.property(openPattern, spelling, readings, (pattern, path, names) => {
      const table = createGrantTable([{ id: 'g', from, to, calls: [{ path: pattern }] }]);
      if (!table.decideCall({ from, to, method: 'GET', path }).allowed) return;
      permitted += 1;
      const read = names.reduce((text, name) => READINGS[name]?.(text) ?? text, path);
      assert.ok(
        covers(pattern, read),
        `${pattern} permits ${path}, which is read as ${read} after: ${names.join(', ')}`,
      );
    }),
    { numRuns: 20_000 },
  );
  assert.ok(permitted > 1000, `only ${permitted} were permitted: the test would say little`);
});

test('a clear path has no second reading but by what it escapes on purpose', () => {
  fc.assert(
    fc.property(spelling, fc.constantFrom(...Object.keys(READINGS)), (path, name) => {
      const reading = readCallPath(path);
      if (!reading.clear || name === 'decode' || name === 'drop the last slash') return;
      assert.equal(READINGS[name]?.(path), path);
    }),
    { numRuns: 20_000 },
  );
});

test('any text at all: a decision, never an exception; and nothing unprintable is ever clear', () => {
  fc.assert(
    fc.property(anyText, anyText, (path, method) => {
      const table = createGrantTable([{ id: 'g', from, to, calls: [{ path: '/**' }] }]);
      const decision = table.decideCall({ from, to, method, path });
      if (decision.allowed) assert.match(path, /^\/[!-~]*$/);
    }),
  );
});

test('a pattern is written as it was read', () => {
  const methods = fc.uniqueArray(fc.constantFrom('GET', 'HEAD', 'POST', 'PUT'), { maxLength: 4 });
  fc.assert(
    fc.property(methods, patternPath, (names, path) => {
      const text = names.length === 0 ? path : `${names.join(',')} ${path}`;
      const reading = readCallPattern(text);
      assert.ok(reading.ok);
      assert.equal(formatCallPattern(reading.pattern), text);
    }),
  );
});
