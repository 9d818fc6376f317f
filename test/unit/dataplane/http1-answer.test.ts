import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Http1Answer } from '../../../src/dataplane/http1-answer.ts';

/** Whether the answer is under way after each of these chunks. */
function after(...chunks: string[]): boolean[] {
  const answer = new Http1Answer();
  return chunks.map((chunk, index) => {
    answer.read(Buffer.from(chunk, 'latin1'), index === 0);
    return answer.underWay;
  });
}

test('a body of a known length is under way until its last byte', () => {
  assert.deepEqual(after('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n', '12345', '67890'), [true, true, false]);
  assert.deepEqual(after('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'), [false]);
});

test('a chunked one until its last chunk, wherever that is cut', () => {
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.deepEqual(after(`${head}5\r\nhello\r\n`, '5\r\nworld\r\n', '0\r\n\r\n'), [true, true, false]);
  assert.deepEqual(after(`${head}5\r\nhello\r\n0\r`, '\n\r', '\n'), [true, true, false]);
});

test('server-sent events without either until the server closes', () => {
  assert.deepEqual(after('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: x\n\n', 'data: y\n\n'), [
    true,
    true,
  ]);
});

test('a head that comes in pieces, and interim answers before it', () => {
  assert.deepEqual(after('HTTP/1.1 1', '00 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-len', 'gth: 0\r\n\r\n'), [
    true,
    true,
    false,
  ]);
  assert.deepEqual(after('HTTP/1.1 204 No Content\r\n\r\n'), [false]);
});

test('what is no HTTP/1 is never under way', () => {
  assert.deepEqual(after('hello', 'HTTP/1.1 200 OK\r\n'), [false, false]);
});

test('a head without an end is not kept for ever', () => {
  const answer = new Http1Answer();
  answer.read(Buffer.from('HTTP/1.1 200 OK\r\n'), true);
  for (let line = 0; line < 1000; line += 1) answer.read(Buffer.from(`x-${line}: ${'y'.repeat(100)}\r\n`), false);
  assert.equal(answer.underWay, true);
});
