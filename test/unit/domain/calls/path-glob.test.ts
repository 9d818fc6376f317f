import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPatternPath, compilePathGlob, splitPath } from '../../../../src/domain/calls/path-glob.ts';

const covers = (pattern: string, path: string): boolean => compilePathGlob(pattern).matches(splitPath(path));

const CASES: readonly (readonly [pattern: string, covered: readonly string[], not: readonly string[]])[] = [
  ['/', ['/'], ['', '/a', '*']],
  [
    '/search.v1.Search/Find',
    ['/search.v1.Search/Find'],
    ['/search.v1.Search/Find/', '/search.v1.Search/find', '/searchXv1.Search/Find', '/search.v1.Search/Find2'],
  ],
  ['/a/*', ['/a/b', '/a/b.c-d'], ['/a', '/a/', '/a/b/', '/a/b/c', '/x/a/b', '/b/b']],
  ['/a/*/c', ['/a/b/c'], ['/a/c', '/a/b/b/c', '/a/b/c/']],
  ['/a/*/', ['/a/b/'], ['/a/b', '/a/', '/a/b/c']],
  ['/v*/find*by', ['/v1/findby', '/v/find-it-by'], ['/v1/findb', '/v1/findby2', '/w1/findby', '/v/find/by']],
  ['/*ab*ab*', ['/abab', '/xabyabz'], ['/ab', '/aba', '/bab', '/']],
  ['/*a*b', ['/ab', '/aab', '/xaxb', '/abab'], ['/ba', '/aba', '/b']],
  ['/a*a', ['/aa', '/aba'], ['/a']],
  ['/**', ['/', '/a', '/a/b/c', '/a/'], ['', '*', 'a']],
  ['/a/**', ['/a/b', '/a/b/', '/a/b/c'], ['/a', '/a/', '/ab', '/b/a/c']],
  ['/a/**/z', ['/a/b/z', '/a/b/c/z', '/a/z/z'], ['/a/z', '/a/b/z/', '/a/b/zz', '/z']],
  ['/**/z', ['/a/z', '/a/b/z'], ['/z', '/a/z/y']],
  [
    '/a/**/m/*/**/z',
    ['/a/1/m/2/3/z', '/a/m/m/m/m/z', '/a/1/m/1/m/2/3/z'],
    ['/a/m/2/3/z', '/a/1/m/2/z', '/a/1/m/2/3/y'],
  ],
];

for (const [pattern, covered, not] of CASES) {
  test(`${pattern} covers what it says and nothing else`, () => {
    assert.equal(checkPatternPath(pattern), undefined);
    for (const path of covered) assert.ok(covers(pattern, path), `should cover ${path}`);
    for (const path of not) assert.ok(!covers(pattern, path), `should not cover ${path}`);
  });
}

test('characters that mean something in regular expressions mean themselves', () => {
  for (const [pattern, path] of [
    ['/a.c', '/abc'],
    ['/a+', '/aa'],
    ['/(a)', '/a'],
    ['/a$', '/a'],
  ] as const) {
    assert.ok(covers(pattern, pattern));
    assert.ok(!covers(pattern, path));
  }
});

test('a pattern that no clear path can match, or that would be read otherwise than meant, is refused by what is wrong', () => {
  for (const [pattern, problem] of [
    ['', /does not begin with \//],
    ['a/b', /does not begin with \//],
    ['*', /does not begin with \//],
    [`/${'a'.repeat(256)}`, /more than 256 characters/],
    ['/a?', /no wildcard \?/],
    ['/a//b', /has \/\//],
    ['//a', /has \/\//],
    ['/a/./b', /segment \. or \.\./],
    ['/a/..', /segment \. or \.\./],
    ['/a%2Fb', /a character/],
    ['/a;b', /a character/],
    ['/a b', /a character/],
    ['/a#b', /a character/],
    ['/a\\b', /a character/],
    ['/{a,b}', /a character/],
    ['/[ab]', /a character/],
    ['/ä', /a character/],
    ['/a\n', /a character/],
    ['/a/**b', /\*\* is a whole segment/],
    ['/***', /\*\* is a whole segment/],
    ['/**/**', /\*\* twice in a row/],
  ] as const) {
    assert.match(checkPatternPath(pattern) ?? '', problem, JSON.stringify(pattern));
  }
});

test('a hostile path costs no more than its length times that of the pattern', () => {
  const pattern = `/${'*a'.repeat(60)}b/${'**/*a*/'.repeat(15)}x`;
  const path = `/${'a'.repeat(100_000)}${'/a'.repeat(50_000)}`;
  const before = process.cpuUsage();
  assert.ok(!covers(pattern, path));
  assert.ok(!covers(`/${'**/*a*/'.repeat(15)}x`, path));
  const { user } = process.cpuUsage(before);
  // A matcher that backtracks would not come back at all; the bound is for a slow and busy machine.
  assert.ok(user < 5_000_000, `${user} µs`);
});
