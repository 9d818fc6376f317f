import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswerHead } from '../../../../src/dataplane/http1/answer-head.ts';
import { AnswerReader, type AnswerSink } from '../../../../src/dataplane/http1/answer-reader.ts';

/** What a reader told, put together. */
class Told implements AnswerSink {
  readonly interims: number[] = [];
  answer: AnswerHead | undefined;
  text = '';
  trailers: string[] | undefined;

  interim({ status }: AnswerHead): void {
    this.interims.push(status);
  }

  head(head: AnswerHead): void {
    this.answer = head;
  }

  body(chunk: Buffer): void {
    assert.ok(chunk.length > 0);
    this.text += chunk.toString('latin1');
  }

  end(trailers: string[]): void {
    assert.equal(this.trailers, undefined, 'it ends once');
    this.trailers = trailers;
  }
}

function read(pieces: readonly string[], { method = 'GET', fromSidecar = false, maxHeaderBytes = 1000 } = {}) {
  const reader = new AnswerReader(maxHeaderBytes);
  const told = new Told();
  reader.expect({ method, fromSidecar }, told);
  let problem: string | undefined;
  for (const piece of pieces) problem ??= reader.read(Buffer.from(piece, 'latin1'));
  return { reader, told, problem };
}

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

for (const [name, bytes, text, trailers] of [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: 1\r\n\r\nhello', 'hello', []],
  ['no body', 'HTTP/1.1 204 No Content\r\n\r\n', '', []],
  ['an empty body', 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', '', []],
  ['chunks', `${CHUNKED}3\r\nhel\r\n02;a=b\r\nlo\r\n0\r\n\r\n`, 'hello', []],
  [
    'chunks and trailers',
    `${CHUNKED}1\r\nx\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nX-Ait-A: 1\r\n\r\n`,
    'x',
    ['X-Sum', '1'],
  ],
  [
    'interim answers first',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
    'x',
    [],
  ],
] as const) {
  test(`an answer with ${name} is read alike, however it is cut`, () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const { told, problem, reader } = read([bytes.slice(0, cut), bytes.slice(cut)]);
      assert.deepEqual(
        [problem, told.text, told.trailers, reader.idle],
        [undefined, text, trailers, true],
        `cut at ${cut}`,
      );
    }
    const { told, problem } = read(bytes.split(''));
    assert.deepEqual([problem, told.text, told.trailers], [undefined, text, trailers], 'byte by byte');
  });
}

test('an answer without a length ends with the connection, which is not used again', () => {
  const { told, reader } = read(['HTTP/1.1 200 OK\r\n\r\nsome', 'thing']);
  assert.deepEqual([told.text, told.trailers, told.answer?.keepsAlive], ['something', undefined, false]);
  assert.equal(reader.closed(), true);
  assert.deepEqual(told.trailers, []);
});

test('an answer that is cut off is none', () => {
  assert.equal(read(['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome']).reader.closed(), false);
  assert.equal(read([`${CHUNKED}3\r\nabc\r\n`]).reader.closed(), false);
  assert.equal(read(['HTTP/1.1 200']).reader.closed(), false);
});

test('the answer to HEAD has a length and no body', () => {
  const { told, reader } = read(['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'], { method: 'HEAD' });
  assert.deepEqual([told.text, told.trailers, reader.idle], ['', [], true]);
  assert.ok(told.answer?.fields.includes('5'));
});

test('what the connection is told ends here; the callee says how long it keeps it', () => {
  const head =
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5, max=9\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nX: 1\r\n\r\n';
  const { told } = read([head]);
  assert.deepEqual(told.answer?.fields, ['X', '1', 'Content-Length', '0']);
  assert.deepEqual([told.answer?.keepsAlive, told.answer?.keepAliveMs], [true, 5000]);
  assert.equal(
    read(['HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n']).told.answer?.keepsAlive,
    false,
  );
  assert.equal(read(['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n']).told.answer?.keepsAlive, false);
});

test('only a sidecar can say that it answered itself', () => {
  const head =
    'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nx-ait-refused: NOT_PERMITTED\r\nx-ait-correlation-id: c1\r\nX-Ait-Other: 1\r\n\r\n';
  const agents = read([head]).told.answer;
  assert.deepEqual([agents?.refusedUnder, agents?.fields], [undefined, ['Content-Length', '0']]);
  const sidecars = read([head], { fromSidecar: true }).told.answer;
  assert.equal(sidecars?.refusedUnder, 'c1');
  assert.deepEqual(sidecars?.fields.slice(0, 4), ['x-ait-refused', 'NOT_PERMITTED', 'x-ait-correlation-id', 'c1']);
  assert.ok(!sidecars?.fields.includes('X-Ait-Other'));
});

for (const [name, bytes] of [
  ['bytes behind it', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n'],
  ['no status line', 'nonsense\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['bare line feeds', 'HTTP/1.1 200 OK\r\nContent-Length: 1\nX: 1\r\n\r\nx'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n'],
  ['a blank before a colon', 'HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx'],
  ['a NUL', 'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'],
  ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx'],
  ['a hidden length', 'HTTP/1.1 200 OK\r\nContent_Length: 1\r\n\r\nx'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['an interim answer with a body', 'HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\nx'],
  ['interim answers without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(17)],
  ['a head that is too large', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(1000)}\r\n\r\n`],
  ['a head that is too large and has no end', 'a'.repeat(1001)],
  ['a chunk size with 0x', `${CHUNKED}0x1\r\nx\r\n`],
  ['a chunk size that is negative', `${CHUNKED}-1\r\nx\r\n`],
  ['a bare line feed behind a chunk size', `${CHUNKED}1\nx\r\n0\r\n\r\n`],
  ['a chunk that is longer than its size', `${CHUNKED}1\r\nxy\r\n0\r\n\r\n`],
  ['a chunk extension that is too long', `${CHUNKED}1;${'a'.repeat(300)}\r\nx\r\n`],
  ['a chunk extension that has no end', `${CHUNKED}1;${'a'.repeat(300)}`],
  ['a bare line feed behind a trailer', `${CHUNKED}0\r\nX: 1\n\r\n`],
  ['trailers that are too large', `${CHUNKED}0\r\n${'X: 1\r\n'.repeat(200)}\r\n`],
] as const) {
  test(`an answer with ${name} is a problem`, () => {
    assert.equal(typeof read([bytes]).problem, 'string');
    assert.equal(typeof read(bytes.split('')).problem, 'string', 'byte by byte');
  });
}
