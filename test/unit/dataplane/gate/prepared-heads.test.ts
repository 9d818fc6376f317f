import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prepareRequest, prepareResponse } from '../../../../src/dataplane/gate/prepared-heads.ts';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';
import type { HeaderBlock } from '../../../../src/dataplane/hpack/header-block.ts';
import { decodeLines } from '../../../support/header-fields.ts';
import { block, GRPC_REQUEST, REQUEST, type Lines } from '../../../support/http2-bytes.ts';

const TRACE = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

function decoded(lines: Lines): HeaderBlock {
  const found = new HpackDecoder({ maxListBytes: 65_536 }).decode(block(lines));
  assert.ok(!found.tooLarge);
  return found;
}

function forwarded(lines: Lines, maxDeadlineMs?: number): string[] {
  const prepared = prepareRequest(decoded(lines), maxDeadlineMs);
  assert.ok(prepared.ok);
  return decodeLines(new HpackDecoder({ maxListBytes: 65_536 }), prepared.forward);
}

const HEAD = Object.entries(REQUEST).map((pair) => pair.join(': '));

test('a request goes on as it came, in order, doubles included', () => {
  const lines = [...Object.entries(REQUEST), ['cookie', 'a=1'], ['x-b', ''], ['cookie', 'b=2']] as const;
  assert.deepEqual(forwarded(lines), [...HEAD, 'cookie: a=1', 'x-b: ', 'cookie: b=2']);
});

test('what only sidecars may say is taken out, in every spelling', () => {
  assert.deepEqual(
    forwarded({ ...REQUEST, x_ait_peer_agent: 'admin', 'x-ait-refused': 'X', 'x-forwarded-user-bin': 'a' }),
    HEAD,
  );
});

test('host goes on as :authority, which stands first', () => {
  const { ':authority': _, ...rest } = REQUEST;
  const lines = forwarded({ ...rest, host: 'Callee' });
  assert.equal(lines[0], ':authority: callee');
  assert.ok(!lines.some((line) => line.startsWith('host')));
  assert.deepEqual(forwarded({ ...REQUEST, host: 'callee' }), HEAD);
});

test('a deadline above the ceiling is lowered, and one is set where there is none, for gRPC alone', () => {
  const deadline = (lines: string[]): string[] => lines.filter((line) => line.startsWith('grpc-timeout'));
  assert.deepEqual(deadline(forwarded({ ...GRPC_REQUEST, 'grpc-timeout': '1H' }, 5000)), ['grpc-timeout: 5000m']);
  assert.deepEqual(deadline(forwarded({ ...GRPC_REQUEST, 'grpc-timeout': '1S' }, 5000)), ['grpc-timeout: 1S']);
  assert.deepEqual(deadline(forwarded(GRPC_REQUEST, 5000)), ['grpc-timeout: 5000m']);
  assert.deepEqual(deadline(forwarded(REQUEST, 5000)), []);
  const none = prepareRequest(decoded({ ...GRPC_REQUEST, 'grpc-timeout': 'soon' }), 5000);
  assert.ok(none.ok && none.timeoutInvalid);
});

test('a trace that is none, or double, goes with its state; a good one goes on with it', () => {
  const traced = { ...REQUEST, traceparent: TRACE, tracestate: 'v=1' };
  assert.deepEqual(forwarded(traced), [...HEAD, `traceparent: ${TRACE}`, 'tracestate: v=1']);
  assert.deepEqual(forwarded({ ...traced, traceparent: 'x' }), HEAD);
  assert.deepEqual(forwarded([...Object.entries(traced), ['traceparent', TRACE]]), HEAD);
  assert.deepEqual(forwarded({ ...REQUEST, tracestate: 'v=1' }), HEAD);
});

test('a block that comes again is not prepared again; one of an answer is where its place has changed', () => {
  const request = decoded(REQUEST);
  assert.equal(prepareRequest(request, undefined), prepareRequest(request, undefined));
  const answer = decoded({ 'grpc-status': '0' });
  const terms = { answered: true, endStream: true, fromSidecar: true };
  const prepared = prepareResponse(answer, terms);
  assert.equal(prepareResponse(answer, terms), prepared);
  assert.equal(prepared.head.kind, 'trailers');
  assert.equal(prepareResponse(answer, { ...terms, answered: false }).head.kind, 'malformed');
  assert.equal(prepareResponse(answer, { ...terms, endStream: false }).head.kind, 'malformed');
});

test('that a sidecar refused a call is believed of sidecars only, and at the end of a stream only', () => {
  const refusal = {
    ':status': '403',
    'x-ait-refused': 'NOT_PERMITTED',
    'x-ait-correlation-id': 'id-1',
    'x-ait-more': '1',
  };
  const read = (fromSidecar: boolean, endStream: boolean) => {
    const prepared = prepareResponse(decoded(refusal), { answered: false, endStream, fromSidecar });
    return [prepared.refusedUnder, decodeLines(new HpackDecoder({ maxListBytes: 65_536 }), prepared.forward)];
  };
  const kept = [':status: 403', 'x-ait-refused: NOT_PERMITTED', 'x-ait-correlation-id: id-1'];
  assert.deepEqual(read(true, true), ['id-1', kept]);
  for (const [fromSidecar, endStream] of [
    [true, false],
    [false, true],
    [false, false],
  ] as const) {
    assert.deepEqual(read(fromSidecar, endStream), [undefined, [':status: 403']]);
  }
});
