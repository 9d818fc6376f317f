import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejection } from '../../../../src/domain/rejection.ts';
import { createRegistry } from '../../../../src/platform/metrics-registry.ts';
import { CallCounters } from '../../../../src/sidecar/calls/call-counters.ts';
import { CALL_CODES, codeOf } from '../../../../src/sidecar/calls/call-metrics.ts';
import { createSidecarMetrics } from '../../../../src/sidecar/sidecar-metrics.ts';
import { outcome } from '../../../support/call-outcomes.ts';

function setUp() {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const registry = createRegistry({ defaultMetrics: false, clock });
  const metrics = createSidecarMetrics(registry);
  const counters = new CallCounters(metrics);
  const scrape = async () => {
    counters.sweep();
    return (await registry.render()).split('\n');
  };
  return { registry, metrics, counters, scrape, pass: (ms: number) => (now += ms) };
}

/** The sum of all series of one metric whose line has all of these texts. */
function sum(lines: readonly string[], name: string, ...having: readonly string[]): number {
  const found = lines.filter((line) => line.startsWith(`${name}{`) && having.every((text) => line.includes(text)));
  return found.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
}

test('a call is counted from its start to its end', async () => {
  const { counters, scrape } = setUp();
  const calls = counters.of('outbound', 'researcher');
  calls.started();
  calls.started();
  counters.held(0.2);
  calls.ended('/a', outcome({ durationMs: 40 }));
  const lines = await scrape();
  const who = 'direction="outbound",peer="researcher"';
  for (const line of [
    `ait_calls_total{${who},method="/a",code="OK",source="app"} 1`,
    `ait_calls_inflight{${who}} 1`,
    `ait_call_bytes_total{${who},way="request"} 100`,
    `ait_call_bytes_total{${who},way="response"} 200`,
    `ait_call_messages_total{${who},way="request"} 1`,
    `ait_call_messages_total{${who},way="response"} 2`,
    `ait_call_duration_seconds_bucket{le="0.025",${who}} 0`,
    `ait_call_duration_seconds_bucket{le="0.05",${who}} 1`,
    'ait_gate_overhead_seconds_bucket{le="0.0001"} 0',
    'ait_gate_overhead_seconds_bucket{le="0.00025"} 1',
  ]) {
    assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`);
  }
});

test('a refused call has no duration and was never in flight; one that was cut has its reason', async () => {
  const { counters, scrape } = setUp();
  const calls = counters.of('inbound', 'planner');
  const cause = rejection('CALL_NOT_GRANTED', 'no grant');
  const refused = outcome({ grpcStatus: 7, source: 'sidecar', rejection: cause, requestBytes: 0, responseBytes: 0 });
  calls.refused('other', refused);
  let lines = await scrape();
  assert.equal(sum(lines, 'ait_calls_total', 'code="PERMISSION_DENIED"', 'source="sidecar"'), 1);
  assert.equal(sum(lines, 'ait_call_duration_seconds_count'), 0);
  assert.equal(sum(lines, 'ait_calls_cut_total'), 0);
  calls.started();
  calls.ended('/a', refused);
  lines = await scrape();
  assert.ok(lines.includes('ait_calls_cut_total{direction="inbound",reason="CALL_NOT_GRANTED"} 1'));
  assert.equal(sum(lines, 'ait_calls_inflight'), 0);
});

test('how a call ended is a code of a closed set, whatever numbers come', () => {
  assert.equal(codeOf(outcome({ grpcStatus: 14 })), 'UNAVAILABLE');
  assert.equal(codeOf(outcome({ grpcStatus: 17 })), 'UNKNOWN');
  assert.equal(codeOf(outcome({ grpcStatus: -1 })), 'UNKNOWN');
  const http = (more: object) => codeOf(outcome({ grpcStatus: undefined, ...more }));
  assert.equal(http({ httpStatus: 204 }), '2xx');
  assert.equal(http({ httpStatus: 304 }), '3xx');
  assert.equal(http({ httpStatus: 404 }), '4xx');
  assert.equal(http({ httpStatus: 503 }), '5xx');
  assert.equal(http({ httpStatus: 999 }), 'UNKNOWN');
  assert.equal(http({ httpStatus: 200, resetCode: 8 }), 'reset');
  assert.equal(http({ httpStatus: undefined }), 'reset');
  assert.equal(http({ httpStatus: 200, resetCode: 8, cancelled: true }), 'cancelled');
});

test('20 peers and 10 methods, each with answers and failures, are at most 500 series, and none is unnamed', async () => {
  const { registry, metrics, counters, scrape } = setUp();
  for (let peer = 0; peer < 20; peer += 1) {
    metrics.sessions.add({ peer: `peer-${peer}` }, 1);
    metrics.clockSkew.set({ peer: `peer-${peer}` }, 0);
    const calls = counters.of(peer % 2 === 0 ? 'outbound' : 'inbound', `peer-${peer}`);
    for (let method = 0; method < 10; method += 1) {
      calls.started();
      calls.ended(`/s/Method${method}`, outcome());
    }
    calls.refused('other', outcome({ grpcStatus: 7, source: 'sidecar' }));
    calls.refused('other', outcome({ grpcStatus: 14, source: 'peer' }));
  }
  const lines = await scrape();
  assert.equal(sum(lines, 'ait_calls_total', 'peer="other"'), 0);
  assert.equal(sum(lines, 'ait_calls_total', 'method="/s/'), 200);
  assert.ok(registry.seriesCount <= 500, `${registry.seriesCount} series`);
  assert.ok(lines.includes('ait_metric_series_dropped_total 0'));
});

test('however many peers, methods and codes there are: the series are bounded, and no call goes uncounted', async () => {
  const { registry, counters, scrape } = setUp();
  let made = 0;
  for (let peer = 0; peer < 60; peer += 1) {
    for (const direction of ['inbound', 'outbound'] as const) {
      const calls = counters.of(direction, `peer-${peer}`);
      for (let method = 0; method < 12; method += 1) {
        for (const [grpcStatus] of CALL_CODES.slice(0, 17).map((_, index) => [index] as const)) {
          calls.started();
          calls.ended(`/s/Method${method}`, outcome({ grpcStatus }));
          made += 1;
        }
      }
    }
  }
  const lines = await scrape();
  assert.equal(sum(lines, 'ait_calls_total'), made);
  assert.equal(sum(lines, 'ait_call_duration_seconds_count'), made);
  assert.equal(sum(lines, 'ait_calls_inflight'), 0);
  assert.ok(lines.includes('ait_metric_series_dropped_total 0'));
  assert.ok(registry.seriesCount <= 500, `${registry.seriesCount} series`);
});

test('what nobody calls any more makes room for what was counted as other', async () => {
  const { counters, scrape, pass } = setUp();
  for (let method = 0; method < 400; method += 1) {
    const calls = counters.of('outbound', 'researcher');
    calls.started();
    calls.ended(`/s/Method${method}`, outcome());
  }
  let lines = await scrape();
  assert.equal(sum(lines, 'ait_calls_total', 'method="other"'), 170);
  pass(10 * 60_000 + 1);
  await scrape();
  const calls = counters.of('outbound', 'researcher');
  calls.started();
  pass(5);
  await scrape();
  calls.ended('/s/Method399', outcome());
  lines = await scrape();
  assert.equal(sum(lines, 'ait_calls_total', 'method="/s/Method399"'), 1);
  assert.equal(sum(lines, 'ait_calls_total'), 1);
  assert.equal(sum(lines, 'ait_calls_inflight'), 0);
});

test('a call ends on the series on which it began, also where there was a scrape between the two', async () => {
  const { counters, scrape, pass } = setUp();
  for (let peer = 0; peer < 60; peer += 1) counters.of('outbound', `peer-${peer}`).started();
  await scrape();
  pass(11 * 60_000);
  await scrape();
  for (let peer = 0; peer < 60; peer += 1) counters.of('outbound', `peer-${peer}`).ended('/a', outcome());
  const lines = await scrape();
  const levels = lines.filter((line) => line.startsWith('ait_calls_inflight{'));
  assert.ok(levels.length > 20);
  for (const line of levels) assert.match(line, / 0$/);
});
