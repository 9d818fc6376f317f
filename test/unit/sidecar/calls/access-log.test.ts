import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejection } from '../../../../src/domain/rejection.ts';
import { TRACEPARENT, call, callRequest, outcome } from '../../../support/call-outcomes.ts';
import { callWorld, liveSession } from '../../../support/call-world.ts';

test('with the access log on a call is one line that says all of it but secrets', () => {
  const { policyFor, settings, lines } = callWorld();
  Object.assign(settings, { accessLog: true });
  const policy = policyFor(liveSession());
  const headers = [{ name: 'authorization', value: 'Bearer hunter2' }];
  const request = callRequest({ path: '/search.v1.Search/Find?key=hunter2', headers });
  policy.started(call({ request }));
  policy.ended(call({ request }), outcome({ durationMs: 1.23456 }));
  assert.deepEqual(lines, [
    {
      level: 'info',
      ts: new Date(1_000_000).toISOString(),
      name: 'sidecar',
      event: 'call',
      direction: 'outbound',
      peer: 'spiffe://acme.example/agent/researcher',
      peerInstance: null,
      sessionId: 'abc123',
      method: 'POST',
      path: '/search.v1.Search/Find',
      label: '/search.v1.Search/*',
      status: 'OK',
      httpStatus: 200,
      source: 'app',
      durationMs: 1.235,
      requestBytes: 100,
      responseBytes: 200,
      requestMessages: 1,
      responseMessages: 2,
      traceparent: TRACEPARENT,
    },
  ]);
});

test('a refused call has its code and the id that the caller was told', () => {
  const { policyFor, settings, lines } = callWorld();
  Object.assign(settings, { accessLog: true });
  const cause = rejection('CALL_NOT_GRANTED', 'no grant');
  const refused = { grpcStatus: undefined, httpStatus: undefined, rejection: cause, correlationId: 'c-1' };
  policyFor(liveSession('acceptor')).ended(call(), outcome({ ...refused, source: 'sidecar' }));
  const [line] = lines.filter(({ event }) => event === 'call');
  const { direction, status, httpStatus, code, correlationId } = line ?? {};
  assert.deepEqual(
    { direction, status, httpStatus, code, correlationId },
    { direction: 'inbound', status: 'reset', httpStatus: null, code: 'CALL_NOT_GRANTED', correlationId: 'c-1' },
  );
});

test('it is off by default, and can be turned on and off while a session lasts; a higher log level turns it off, too', () => {
  const { policyFor, settings, lines, logger } = callWorld();
  const policy = policyFor(liveSession());
  const written = () => {
    policy.ended(call(), outcome());
    return lines.splice(0).length;
  };
  assert.equal(written(), 0);
  Object.assign(settings, { accessLog: true });
  assert.equal(written(), 1);
  logger.level = 'warn';
  assert.equal(written(), 0);
  logger.level = 'info';
  Object.assign(settings, { accessLog: false });
  assert.equal(written(), 0);
});

test('nothing that was sent can break out of its field', () => {
  const { policyFor, settings, lines } = callWorld();
  Object.assign(settings, { accessLog: true });
  const evil = '/"},{"event":"session_admitted\\","x":"\n\u2028\u0000';
  const request = callRequest({ path: evil, method: '"\\' });
  const told = { rejection: rejection('CALL_MALFORMED', 'x'), correlationId: 'a"b' };
  policyFor(liveSession()).ended(call({ request, label: '/"', traceparent: 'a"b' }), outcome(told));
  const written = lines.filter(({ event }) => event === 'call');
  assert.equal(written.length, 1);
  assert.equal(written[0]?.['method'], '"\\');
  assert.equal(written[0]?.['path'], '/"},{"event":"session_admitted\\","x":"%0A%2028%00');
});
