import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCallPath } from '../../../../src/domain/calls/call-path.ts';

test('a plain path is clear, and its query is cut off', () => {
  for (const [target, path] of [
    ['/', '/'],
    ['/search.v1.Search/Find', '/search.v1.Search/Find'],
    ['/a/b/', '/a/b/'],
    ['/a?q=//..;%2F', '/a'],
    ['/a?', '/a'],
    ['/?/a', '/'],
    ['/.well-known/agent.json', '/.well-known/agent.json'],
    ['/a/...', '/a/...'],
    ['/a/..b', '/a/..b'],
    ['/a:run', '/a:run'],
  ]) {
    assert.deepEqual(readCallPath(target ?? ''), { clear: true, path, masked: path });
  }
});

test('an escape of what needs one is clear, and only a wildcard can stand for it', () => {
  assert.deepEqual(readCallPath('/caf%C3%A9%20au/x%40y?%'), {
    clear: true,
    path: '/caf%C3%A9%20au/x%40y',
    masked: '/caf\0\0\0au/x\0y',
  });
});

for (const [what, targets] of Object.entries({
  'doubled slashes': ['//', '//a', '/a//b', '/a//'],
  'dot segments': ['/.', '/..', '/a/./b', '/a/../b', '/a/..', '/a/.', '/../a', '/a/..?q'],
  'parameters of a segment': ['/a;b', '/a/..;/b', '/;', '/a;'],
  'escaped separators': ['/a%2Fb', '/a%2fb', '/a%5Cb', '/a%5cb', '/a%3Bb', '/a%3Fb', '/a%23b'],
  'escapes of what needs none': ['/%61', '/%2E%2E/a', '/a/%2e', '/a/.%2e/b', '/%7E', '/%5f', '/%2D', '/%30'],
  'escapes that are decoded twice': ['/a%252Fb', '/a%25', '/%2525'],
  'escaped blanks at the end of a segment': ['/%20', '/a%20', '/a%20%20', '/a%20/b', '/%20/', '/a%20?q'],
  'malformed escapes': ['/%', '/a%', '/a%2', '/a%zz', '/a%u002f', '/%%32%46'],
  'escapes that are not UTF-8': ['/%C0%AF', '/%E0%80%AF', '/%C0%AE%C0%AE/a', '/%FF', '/%ED%A0%80', '/%C3'],
  backslashes: ['/a\\b', '\\a', '/..\\a', '/\\'],
  'control characters': ['/a\0', '/a%00', '/a\tb', '/a%0Ab', '/a\r\n', '/\x7f', '/%7f', '/%C2%85'],
  'what is not ASCII': ['/ä', '/a／b', '/a\u2025', '/a?ä', '/ a', '/a '],
  fragments: ['/a#b', '/#', '/a?b#c'],
  'no path at all': ['', '*', 'a', 'http://h/a', '?a', '.', '*?'],
})) {
  test(`ambiguous: ${what}`, () => {
    for (const target of targets) assert.equal(readCallPath(target).clear, false, JSON.stringify(target));
  });
}
