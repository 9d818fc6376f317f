import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCallPattern, readCallPattern } from '../../../../src/domain/calls/call-pattern.ts';

test('a pattern is a path, or methods and a path; it is written as it was read', () => {
  for (const [text, pattern] of [
    ['/search.v1.Search/*', { path: '/search.v1.Search/*' }],
    ['POST /search.v1.Search/Find', { methods: ['POST'], path: '/search.v1.Search/Find' }],
    ['GET,HEAD /docs/**', { methods: ['GET', 'HEAD'], path: '/docs/**' }],
    ['M-SEARCH /', { methods: ['M-SEARCH'], path: '/' }],
  ] as const) {
    assert.deepEqual(readCallPattern(text), { ok: true, pattern });
    assert.equal(formatCallPattern(pattern), text);
  }
});

test('what is no pattern is refused by what is wrong with it', () => {
  for (const [text, problem] of [
    ['', /does not begin with \//],
    ['POST', /does not begin with \//],
    ['POST  /a', /one space/],
    ['POST /a /b', /one space/],
    [' /a', /a method that is not one of HTTP/],
    ['/a ', /a method that is not one of HTTP/],
    ['post /a', /upper case/],
    ['* /a', /a method that is not one of HTTP/],
    ['GET, HEAD /a', /one space/],
    ['GET,,HEAD /a', /a method that is not one of HTTP/],
    ['GET,GET /a', /twice/],
    ['CONNECT /a', /CONNECT/],
    [`${Array.from({ length: 17 }, (_, index) => `A${'B'.repeat(index + 1)}`).join(',')} /a`, /more than 16/],
    ['GET a', /does not begin with \//],
    ['GET /a/../b', /segment \. or \.\./],
  ] as const) {
    const reading = readCallPattern(text);
    assert.match(reading.ok ? 'accepted' : reading.problem, problem, JSON.stringify(text));
  }
});
