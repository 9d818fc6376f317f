import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRequestHead } from '../../../../src/dataplane/gate/request-head.ts';
import { REQUEST } from '../../../support/http2-bytes.ts';

// What is malformed is in rfc9113.test.ts. Here: what is made of the rest.

function head(lines: Readonly<Record<string, string | undefined>>) {
  const headers = Object.entries({ ...REQUEST, ...lines }).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value }],
  );
  const result = readRequestHead(headers);
  assert.ok(result.ok, result.ok ? '' : result.problem);
  return result.head;
}

test('a request is told with its headers as they came', () => {
  const { request, contentLength, grpcTimeout } = head({ 'x-mine': '1' });
  const { headers, ...rest } = request;
  assert.deepEqual(rest, { method: 'POST', path: '/a.Service/Call', authority: 'callee', isGrpc: false });
  assert.deepEqual(headers.at(-1), { name: 'x-mine', value: '1' });
  assert.deepEqual([contentLength, grpcTimeout], [undefined, undefined]);
});

test('the authority is in lower case, is what host says where there is no other, and empty without both', () => {
  assert.equal(head({ ':authority': 'Callee:80' }).request.authority, 'callee:80');
  assert.equal(head({ ':authority': undefined, host: 'Other' }).request.authority, 'other');
  assert.equal(head({ ':authority': 'CALLEE', host: 'callee' }).request.authority, 'callee');
  assert.equal(head({ ':authority': undefined }).request.authority, '');
});

test('gRPC is what says so, with any suffix, but not what only speaks like it', () => {
  for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;x=1']) {
    assert.ok(head({ 'content-type': type }).request.isGrpc, type);
  }
  for (const type of [
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/json',
    'x/application/grpc',
    '',
  ]) {
    assert.ok(!head({ 'content-type': type }).request.isGrpc, type);
  }
});

test('length and deadline are told; of a deadline it is not judged here whether it is one', () => {
  assert.equal(head({ 'content-length': '007' }).contentLength, 7);
  assert.equal(head({ 'grpc-timeout': 'soon' }).grpcTimeout, 'soon');
});

test('a path may have any other octet, and a query', () => {
  for (const path of ['/', '/a?b=c&d=%20', '//', '/../x', '/ä\xa0\xff', '/a;b']) {
    assert.equal(head({ ':path': path }).request.path, path);
  }
});
