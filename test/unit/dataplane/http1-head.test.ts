import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHttp1Head } from '../../../src/dataplane/http1-head.ts';

test('a plain head says method, target, host and whether content follows', () => {
  assert.deepEqual(
    parseHttp1Head('CONNECT Researcher.mesh:443 HTTP/1.1\r\nHost: Researcher.mesh:443\r\nX: \t a b \t'),
    {
      ok: true,
      head: { method: 'CONNECT', target: 'Researcher.mesh:443', host: 'researcher.mesh:443', hasContent: false },
    },
  );
  const content = (fields: string) => {
    const parsed = parseHttp1Head(`POST / HTTP/1.0\r\n${fields}`);
    return parsed.ok && parsed.head.hasContent;
  };
  assert.deepEqual(['Content-Length: 0', 'Content-Length: 7', 'Transfer-Encoding: chunked', 'Accept:'].map(content), [
    false,
    true,
    true,
    false,
  ]);
});

const LINE = 'GET / HTTP/1.1';
for (const [what, text] of [
  ['nothing', ''],
  ['no version', 'GET /'],
  ['another version', 'GET / HTTP/2.0'],
  ['a version with more to it', 'GET / HTTP/1.10'],
  ['two blanks', 'GET  / HTTP/1.1'],
  ['a blank in the target', 'GET /a b HTTP/1.1'],
  ['a tab for a blank', 'GET\t/ HTTP/1.1'],
  ['a blank at the end', 'GET / HTTP/1.1 '],
  ['an octet beyond ASCII in the target', 'GET /\xe4 HTTP/1.1'],
  ['a method that is no token', 'G(T / HTTP/1.1'],
  ['a blank line first', `\r\n${LINE}`],
  ['a bare LF', `${LINE}\nHost: a`],
  ['a bare CR', `${LINE}\r\nHost: a\rX: b`],
  ['a folded line', `${LINE}\r\nHost: a\r\n b`],
  ['a blank before the colon', `${LINE}\r\nHost : a`],
  ['no colon', `${LINE}\r\nHost`],
  ['no name', `${LINE}\r\n: a`],
  ['a NUL in a value', `${LINE}\r\nHost: a\0b`],
  ['Host twice', `${LINE}\r\nHost: a\r\nHOST: a`],
  ['both lengths', `${LINE}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked`],
  ['two lengths', `${LINE}\r\nContent-Length: 1\r\nContent-Length: 1`],
  ['a length that is none', `${LINE}\r\nContent-Length: +1`],
  ['a list of lengths', `${LINE}\r\nContent-Length: 1, 1`],
  ['more fields than anybody sends', `${LINE}${'\r\nX: y'.repeat(101)}`],
] as const) {
  test(`${what}: no head`, () => {
    const parsed = parseHttp1Head(text);
    assert.ok(!parsed.ok, JSON.stringify(parsed));
    assert.match(parsed.problem, /\w/);
  });
}
