import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallPolicy, CallRequest } from '../../../../src/dataplane/gate/call.ts';
import { rejection } from '../../../../src/domain/rejection.ts';
import type { ReadBodies } from '../../../../src/sidecar/protocols/protocols-section.ts';
import { UnseenBodies } from '../../../../src/sidecar/protocols/unseen-bodies.ts';

interface Asked {
  readonly path: string;
  readonly method?: string;
  readonly isGrpc?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What becomes of a call over HTTP/2, and what of it took a place among those that are open. */
function decided(
  { path, method = 'POST', isGrpc = false, headers = {} }: Asked,
  bodies: ReadBodies = 'json',
  permitted = true,
) {
  const taken: boolean[] = [];
  const policy: CallPolicy = {
    decide: (_request, judgeOnly = false) => {
      if (permitted && !judgeOnly) taken.push(true);
      if (permitted) return { permitted, label: 'x' };
      return { permitted, label: 'x', rejection: rejection('CALL_NOT_GRANTED', 'no') };
    },
    started: () => undefined,
    ended: () => undefined,
    violated: () => undefined,
    held: () => undefined,
  };
  const fields = Object.entries(headers).map(([name, value]) => ({ name, value }));
  const request: CallRequest = { method, path, authority: 'researcher.mesh', isGrpc, headers: fields };
  const decision = new UnseenBodies(policy, () => bodies).decide(request);
  const outcome = decision.permitted ? 'permitted' : decision.rejection.code;
  assert.equal(taken.length, outcome === 'permitted' ? 1 : 0, 'a refused call takes no place');
  return outcome;
}

const grpc = (method: string, service = 'lf.a2a.v1.A2AService') => ({ path: `/${service}/${method}`, isGrpc: true });

test('A2A over gRPC passes, but for what sets a push target or gives an agent card', () => {
  for (const method of ['SendMessage', 'SendStreamingMessage', 'GetTask', 'SubscribeToTask', 'CancelTask']) {
    assert.equal(decided(grpc(method)), 'permitted', method);
  }
  for (const service of ['lf.a2a.v1.A2AService', 'a2a.v1.A2AService']) {
    for (const method of ['CreateTaskPushNotificationConfig', 'GetExtendedAgentCard', 'GetAgentCard']) {
      assert.equal(decided(grpc(method, service)), 'CALL_BODY_UNSEEN', method);
    }
  }
  assert.equal(decided(grpc('CreateTaskPushNotificationConfig', 'acme.v1.Tasks')), 'permitted');
});

test('what must not pass unread is sent over HTTP/1.1 or not at all', () => {
  const refused: Asked[] = [
    { path: '/.well-known/agent-card.json', method: 'GET' },
    { path: '/.well-known/agent-card.json', method: 'GET', isGrpc: true },
    { path: '/x/.well-known//agent%2Ejson', method: 'GET' },
    { path: '/v1/card', method: 'GET' },
    { path: '/v1/tasks/7/pushNotificationConfigs' },
    { path: '/v1/message:send' },
    { path: '/', headers: { 'a2a-version': '1.0' } },
    { path: '/', headers: { 'content-type': 'application/a2a+json' } },
    { path: '/mcp', headers: { accept: 'application/json, text/event-stream' } },
    { path: '/mcp', headers: { 'mcp-session-id': 's' } },
    { path: '/mcp', method: 'GET', headers: { 'mcp-protocol-version': '2025-11-25' } },
  ];
  for (const asked of refused) {
    assert.equal(decided(asked), 'CALL_BODY_UNSEEN', JSON.stringify(asked));
    assert.equal(decided(asked, 'none'), 'permitted', JSON.stringify(asked));
  }
});

test('everything else passes, unless every body is to be read', () => {
  const others: Asked[] = [
    { path: '/api', headers: { 'content-type': 'application/json' } },
    { path: '/upload', method: 'PUT', headers: { 'content-type': 'image/png' } },
  ];
  for (const asked of others) {
    assert.equal(decided(asked), 'permitted');
    assert.equal(decided(asked, 'all'), 'CALL_BODY_UNSEEN');
    assert.equal(decided(asked, 'none'), 'permitted');
  }
  assert.equal(decided({ path: '/api', method: 'GET' }, 'all'), 'permitted');
  assert.equal(decided(grpc('Find', 'search.v1.Search'), 'all'), 'permitted');
});

test('what is not granted is refused for that', () => {
  assert.equal(decided({ path: '/v1/card', method: 'GET' }, 'json', false), 'CALL_NOT_GRANTED');
  assert.equal(decided({ path: '/api' }, 'json', false), 'CALL_NOT_GRANTED');
});
