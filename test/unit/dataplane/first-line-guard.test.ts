import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guardFirstLine } from '../../../src/dataplane/first-line-guard.ts';

/** @returns how often the guard has struck after each piece */
function struckAfter(pieces: readonly string[]): number[] {
  let times = 0;
  const guard = guardFirstLine(() => (times += 1));
  return pieces.map((piece) => {
    guard(Buffer.from(piece, 'latin1'));
    return times;
  });
}

for (const pieces of [
  ['GE', 'T / HTTP/1.1\r\n'],
  ['g', 'et /', ' http/1.0\r\n'],
  ['FROB ', 'http://a/ HTTP/1.1\n'],
  ['CONN', 'ECT a:1'],
  ['PR', 'I * HTTP/2.0\r\n'],
  ['\x16', '\x03\x01'],
]) {
  test(`${JSON.stringify(pieces.join(''))}, in pieces, is seen with the piece that tells, once`, () => {
    assert.deepEqual(struckAfter([...pieces, 'more', 'GET / HTTP/1.1']), [...pieces.slice(1).map(() => 0), 1, 1, 1]);
  });
}

for (const pieces of [
  ['word', '\r\n', 'GET / HTTP/1.1\r\n'],
  ['word', ' and another', 'GET / HTTP/1.1\r\n'],
  ['a', '\0', 'GET / HTTP/1.1\r\n'],
  ['x'.repeat(8192), ' / HTTP/1.1\r\n'],
]) {
  test(`what begins with ${JSON.stringify(pieces.slice(0, 2).join('').slice(0, 20))} is another protocol, and stays it`, () => {
    assert.equal(struckAfter(pieces).at(-1), 0);
  });
}
