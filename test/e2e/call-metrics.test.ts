import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { Attacker } from '../support/attacker.ts';
import { CallMesh } from '../support/call-mesh.ts';
import { openPeerConnection } from '../support/hostile-http2.ts';
import { parseMetrics } from '../support/metrics-text.ts';
import { get, GRPC_CALL } from '../support/raw-http2.ts';
import type { TestAgent } from '../support/test-agent.ts';

interface Counted {
  readonly method: string;
  readonly code: string;
  readonly source: string;
  readonly count: number;
}

async function callsOf(agent: TestAgent, direction: string): Promise<Counted[]> {
  const samples = parseMetrics(await httpGet({ address: agent.addresses.metrics }, '/metrics'));
  return samples
    .filter(({ name, labels, value }) => name === 'ait_calls_total' && labels['direction'] === direction && value > 0)
    .map(({ labels: { method = '', code = '', source = '' }, value: count }) => ({ method, code, source, count }))
    .toSorted((a, b) => `${a.method}${a.code}${a.source}`.localeCompare(`${b.method}${b.code}${b.source}`));
}

test('calls are counted once on each side, by names that no caller can choose, and written down where that is wanted', async (t) => {
  const world = await CallMesh.start(t, {
    calls: ['POST /interop.Test/*', 'GET /docs/**'],
    planner: { access_log: true, calls: { methods: ['GET /health'] } },
  });
  const { mesh, planner, researcher } = world;
  const connection = world.connect();
  let stream = -1;
  const call = (fields: typeof GRPC_CALL) => connection.call((stream += 2), fields);

  for (let at = 0; at < 3; at += 1) await call(GRPC_CALL);
  await call(get('/docs/a?token=secret'));
  await call(get('/docs/b'));
  await call(get('/health'));
  for (let at = 0; at < 20; at += 1) await call(get(`/made-up-${at}`));
  world.server.onStream = ({ stream: open }) => open.respond({ ':status': 404 }, { endStream: true });
  await call(get('/docs/missing'));
  const answer = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' };
  world.server.onStream = ({ stream: open }) => open.respond(answer, { endStream: true });
  await call(GRPC_CALL);

  await t.test('by the side of the caller: what it refused is its own, what the app said is the app’s', async () => {
    assert.deepEqual(await callsOf(planner, 'outbound'), [
      { method: 'GET /docs/**', code: '2xx', source: 'app', count: 2 },
      { method: 'GET /docs/**', code: '4xx', source: 'app', count: 1 },
      { method: 'GET /health', code: '4xx', source: 'sidecar', count: 1 },
      { method: 'other', code: '4xx', source: 'sidecar', count: 20 },
      { method: 'POST /interop.Test/*', code: 'OK', source: 'app', count: 3 },
      { method: 'POST /interop.Test/*', code: 'PERMISSION_DENIED', source: 'app', count: 1 },
    ]);
    assert.deepEqual(await callsOf(planner, 'inbound'), []);
  });

  await t.test('by the side of the callee: only what arrived', async () => {
    assert.deepEqual(await callsOf(researcher, 'inbound'), [
      { method: 'GET /docs/**', code: '2xx', source: 'app', count: 2 },
      { method: 'GET /docs/**', code: '4xx', source: 'app', count: 1 },
      { method: 'POST /interop.Test/*', code: 'OK', source: 'app', count: 3 },
      { method: 'POST /interop.Test/*', code: 'PERMISSION_DENIED', source: 'app', count: 1 },
    ]);
  });

  await t.test(
    'durations of those that went on, bytes, messages, what is under way, how long the gate held them',
    async () => {
      const peer = { direction: 'outbound', peer: 'researcher' };
      assert.equal(await planner.metric('ait_call_duration_seconds_count', peer), 7);
      assert.equal(await planner.metric('ait_calls_inflight', peer), 0);
      assert.equal(await planner.metric('ait_call_bytes_total', { ...peer, way: 'response' }), 3 * 5 + 2 * 8);
      assert.equal(await planner.metric('ait_call_messages_total', { ...peer, way: 'response' }), 3);
      assert.ok((await planner.metric('ait_gate_overhead_seconds_count')) > 0);
    },
  );

  await t.test('a line for each, without query and headers', async () => {
    const line = await planner.waitFor('call', ({ path }) => path === '/docs/a');
    const { direction, method, label, status, httpStatus, source, responseBytes } = line;
    assert.deepEqual(
      { direction, method, label, status, httpStatus, source, responseBytes },
      {
        direction: 'outbound',
        method: 'GET',
        label: 'GET /docs/**',
        status: '2xx',
        httpStatus: 200,
        source: 'app',
        responseBytes: 8,
      },
    );
    const last = await planner.waitFor(
      'call',
      ({ source: from, status: code }) => code === 'PERMISSION_DENIED' && from === 'app',
    );
    assert.match(String(last['traceparent']), /^00-/);
    const refused = await planner.waitFor('call', ({ path }) => path === '/made-up-7');
    assert.deepEqual([refused['source'], refused['code'], refused['label']], ['sidecar', 'CALL_NOT_GRANTED', 'other']);
    assert.equal(planner.sidecar.lines.filter(({ event }) => event === 'call').length, 28);
    assert.ok(!JSON.stringify(planner.sidecar.lines).includes('secret'));
    assert.ok(!researcher.sidecar.lines.some(({ event }) => event === 'call'), 'only where it is switched on');
  });
  connection.socket.destroy();

  await t.test(
    'a call that the peer’s sidecar refused is the peer’s on one side, and its own on the other',
    async () => {
      // Only the sidecar of the callee knows of the deadline that is none: the one of the caller is an attacker's.
      const attacker = await Attacker.of(t, mesh);
      const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner', planner.measurement));
      const hostile = (await openPeerConnection(attacker, researcher, exchange)).begin();
      await hostile.call(1, [...GRPC_CALL, ['grpc-timeout', '-1S']]);
      const counted = await callsOf(researcher, 'inbound');
      assert.deepEqual(
        counted.filter(({ source }) => source === 'sidecar'),
        [{ method: 'POST /interop.Test/*', code: 'INVALID_ARGUMENT', source: 'sidecar', count: 1 }],
      );
      exchange.destroy();
    },
  );
});

test('what the sidecar of the callee refuses, that of the caller counts as the word of the peer', async (t) => {
  const world = await CallMesh.start(t, { researcher: { calls: { max_header_bytes: 1024 } } });
  const { planner, researcher } = world;
  const { head } = await world.call([...GRPC_CALL, ['pad', 'x'.repeat(2000)]]);
  assert.deepEqual([head['grpc-status'], head['x-ait-refused']], ['8', 'PROTOCOL']);
  const [refused] = await callsOf(planner, 'outbound');
  assert.deepEqual(refused, { method: 'other', code: 'RESOURCE_EXHAUSTED', source: 'peer', count: 1 });
  const [own] = await callsOf(researcher, 'inbound');
  assert.deepEqual(own, { method: 'other', code: 'RESOURCE_EXHAUSTED', source: 'sidecar', count: 1 });
  const there = await researcher.waitFor('call_refused');
  assert.equal(there['correlationId'], head['x-ait-correlation-id'], 'one id on both sides');
});
