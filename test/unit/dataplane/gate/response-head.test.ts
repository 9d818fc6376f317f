import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readResponseHead } from '../../../../src/dataplane/gate/response-head.ts';

// What is malformed is in rfc9113.test.ts. Here: what is made of the rest.

function read(lines: Readonly<Record<string, string>>, place: { answered?: boolean; endStream?: boolean } = {}) {
  const headers = Object.entries(lines).map(([name, value]) => ({ name, value }));
  return readResponseHead(headers, { answered: false, endStream: false, ...place });
}

test('a block is information, the head of an answer, or trailers, by its status and its place', () => {
  assert.equal(read({ ':status': '100' }).kind, 'informational');
  assert.equal(read({ ':status': '199' }).kind, 'informational');
  assert.equal(read({ ':status': '200' }).kind, 'final');
  assert.equal(read({ ':status': '999' }).kind, 'final');
  assert.equal(read({ 'x-sum': '1' }, { answered: true, endStream: true }).kind, 'trailers');
});

test('the status of gRPC is told from trailers, and from a head that is all', () => {
  assert.deepEqual(read({ 'grpc-status': '0' }, { answered: true, endStream: true }), {
    kind: 'trailers',
    grpcStatus: 0,
  });
  const only = read({ ':status': '200', 'grpc-status': '16' }, { endStream: true });
  assert.deepEqual(only, { kind: 'final', status: 200, grpcStatus: 16, contentLength: undefined });
});

for (const value of ['', '17', '-1', '00', '07', '1.0', 'OK', ' 1'.trim() + 'x']) {
  test(`grpc-status ${JSON.stringify(value)} counts as UNKNOWN`, () => {
    assert.deepEqual(read({ 'grpc-status': value }, { answered: true, endStream: true }), {
      kind: 'trailers',
      grpcStatus: 2,
    });
  });
}

test('the length of an answer is told', () => {
  const head = read({ ':status': '200', 'content-length': '12' });
  assert.equal(head.kind === 'final' ? head.contentLength : undefined, 12);
});
