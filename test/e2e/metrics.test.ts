import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { Attacker } from '../support/attacker.ts';
import { HostileAcceptor } from '../support/hostile-acceptor.ts';
import { parseMetrics, seriesOf } from '../support/metrics-text.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import type { TestAgent } from '../support/test-agent.ts';

const scrape = (agent: TestAgent) => httpGet({ address: agent.addresses.metrics }, '/metrics');

/** Names of histograms, as the scrape itself declares them. */
const histogramsIn = (text: string) =>
  new Set([...text.matchAll(/^# TYPE (\S+) histogram$/gm)].map(([, name]) => name ?? ''));

test('what happened is what is counted: an exchange, a drift, a refusal', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'] },
      intruder: { calls: ['researcher'], granted: false, start: false },
      researcher: {},
    },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];

  await t.test('before anything: build, certificates, state; no session, no drift', async () => {
    for (const agent of [planner, researcher]) {
      const samples = parseMetrics(await scrape(agent));
      const names = new Set(samples.map(({ name }) => name));
      for (const name of [
        'ait_build_info',
        'ait_bundle_revision',
        'ait_bundle_last_success_timestamp_seconds',
        'ait_outage_tolerance_remaining_seconds',
        'ait_certificate_expiry_timestamp_seconds',
        'ait_metric_series_dropped_total',
        'nodejs_eventloop_lag_p99_seconds',
        'process_cpu_seconds_total',
      ]) {
        assert.ok(names.has(name), `${name} is there`);
      }
      for (const kind of ['svid', 'ait']) {
        const expiry = await agent.metric('ait_certificate_expiry_timestamp_seconds', { kind });
        assert.ok(expiry > Date.now() / 1000 && expiry < Date.now() / 1000 + 3 * 3_700, `${kind} ends at ${expiry}`);
      }
      assert.equal(await agent.metric('ait_build_info', { node: process.version }), 1);
      assert.equal(await agent.metric('ait_sessions'), 0);
      assert.equal(await agent.metric('ait_drift_total'), 0);
    }
  });

  await t.test('an accepted exchange, on both sides', async () => {
    const stream = planner.connect('researcher');
    stream.socket.write('hello');
    await stream.read(5);
    assert.equal(await planner.metric('ait_exchanges_total', { direction: 'outbound', result: 'accepted' }), 1);
    assert.equal(await researcher.metric('ait_exchanges_total', { direction: 'inbound', result: 'accepted' }), 1);
    assert.equal(await planner.metric('ait_exchange_duration_seconds_count', { direction: 'outbound' }), 1);
    const took = await planner.metric('ait_exchange_duration_seconds_sum', { direction: 'outbound' });
    assert.ok(took > 0 && took < 5, `${took} s`);
    assert.equal(await planner.metric('ait_sessions', { peer: 'researcher' }), 1);
    assert.equal(await researcher.metric('ait_sessions', { peer: 'planner' }), 1);
    assert.equal(await planner.metric('ait_connections', { direction: 'outbound' }), 1);
    assert.equal(await researcher.metric('ait_connections', { direction: 'inbound' }), 1);
    stream.socket.end();
    await pollUntil(
      () => planner.metric('ait_connections_closed_total', { reason: 'finished' }),
      (count) => count === 1,
    );
    assert.equal(await planner.metric('ait_connections', { direction: 'outbound' }), 0);
  });

  await t.test('a drift: once, per dimension, where it was found; the session and its connection with it', async () => {
    const stream = planner.connect('researcher');
    stream.socket.write('hello');
    await stream.read(5);
    const from = planner.sidecar.mark();
    await planner.files.writePrompt('You are poisoned.\n');
    await planner.waitFor('session_terminated', () => true, { from });
    await pollUntil(
      () => researcher.metric('ait_sessions', { peer: 'planner' }),
      (count) => count === 0,
    );
    assert.equal(
      await planner.metric('ait_drift_total', { peer: 'self', dimension: 'system_prompt', action: 'terminated' }),
      1,
    );
    assert.equal(await planner.metric('ait_drift_total'), 1, 'no other dimension, nobody else');
    assert.equal(await planner.metric('ait_sessions_terminated_total', { reason: 'SYSTEM_PROMPT_DRIFT' }), 1);
    assert.equal(await planner.metric('ait_drift_enforcement_seconds_count'), 1);
    await pollUntil(
      () => planner.metric('ait_connections_closed_total', { reason: 'drift' }),
      (count) => count === 1,
    );
    assert.equal(await planner.metric('ait_sessions', { peer: 'researcher' }), 0);
    stream.socket.destroy();
    const back = planner.sidecar.mark();
    await planner.files.writePrompt('You are planner. Be brief.\n');
    await planner.waitFor('standing_in_order', () => true, { from: back });
  });

  await t.test('a refusal: by its code, on the side that refused', async () => {
    const attacker = await Attacker.of(t, mesh);
    const exchange = await attacker.dial(researcher.inbound, attacker.member('intruder'));
    exchange.hello();
    await exchange.expect('hello');
    exchange.prove();
    exchange.accept();
    const { code } = await researcher.waitForVerdict({ correlationId: exchange.correlationId });
    assert.equal(await researcher.metric('ait_exchanges_total', { direction: 'inbound', result: String(code) }), 1);
    exchange.destroy();
  });

  await t.test('a stranger is in no label, whatever it calls itself', async () => {
    const attacker = await Attacker.of(t, mesh);
    const exchange = await attacker.dial(researcher.inbound, attacker.member('zzz-stranger', planner.measurement));
    exchange.hello();
    await exchange.expect('hello');
    exchange.prove();
    exchange.accept();
    await researcher.waitForVerdict({ correlationId: exchange.correlationId });
    assert.doesNotMatch(await scrape(researcher), /stranger|intruder/);
    exchange.destroy();
  });

  await t.test(
    'a session that ends because its peer is no longer known is taken off the count that it was on',
    async () => {
      await planner.call('researcher');
      assert.equal(await researcher.metric('ait_sessions', { peer: 'planner' }), 1);
      const from = researcher.sidecar.mark();
      await mesh.authority.writePolicy('grants/planner', {
        kind: 'Grant',
        from: 'planner',
        to: ['researcher'],
        state: 'withdrawn',
      });
      await researcher.waitForVerdict(
        { direction: 'inbound', subject: 'spiffe://acme.example/agent/planner' },
        { from },
      );
      const sessions = parseMetrics(await scrape(researcher)).filter(({ name }) => name === 'ait_sessions');
      for (const { labels, value } of sessions) assert.equal(value, 0, `ait_sessions${JSON.stringify(labels)}`);
    },
  );
});

test('20 peers, each with a session, and each with drift in every dimension behind it: at most 500 series, none dropped', async (t) => {
  const names = Array.from({ length: 20 }, (_, index) => `peer-${index + 1}`);
  const idle = Object.fromEntries(names.map((name) => [name, { start: false }]));
  const mesh = await startMesh(t, { agents: { ...idle, other: { start: false } } });
  const attacker = await Attacker.of(t, mesh);
  const acceptors = await Promise.all(
    names.map((name) => {
      const identity = attacker.member(name);
      return new HostileAcceptor({ identity: () => identity }).start(t);
    }),
  );
  const addresses = Object.fromEntries(names.map((name, index) => [name, acceptors[index]!.address]));
  const files = await mesh.register('hub', { calls: names });
  const hub = await mesh.addInstance('hub', { agent: 'hub', files, spec: { calls: names, addresses } });

  for (const [index, name] of names.entries()) {
    await hub.call(name);
    const from = hub.sidecar.mark();
    const [exchange] = acceptors[index]!.exchanges;
    // Everything about it is another agent's.
    exchange!.heartbeat({ measurement: mesh.agent('other').measurement });
    await hub.waitFor('session_terminated', ({ subject }) => String(subject).endsWith(`/${name}`), { from });
    assert.equal(await hub.call(name), 'ping', 'a fresh session, of the peer as it should be');
  }

  const text = await scrape(hub);
  const samples = parseMetrics(text);
  for (const name of names) {
    assert.equal(await hub.metric('ait_sessions', { peer: name }), 1);
    assert.ok(
      (await hub.metric('ait_drift_total', { peer: name, dimension: 'system_prompt', action: 'terminated' })) === 1,
      name,
    );
  }
  const series = seriesOf(samples, histogramsIn(text));
  t.diagnostic(`${series.size} series, ${samples.length} lines, ${text.length} bytes`);
  assert.ok(series.size <= 500, `${series.size} series`);
  assert.equal(await hub.metric('ait_metric_series_dropped_total'), 0);
  const peers = new Set(samples.flatMap(({ labels }) => labels['peer'] ?? []));
  assert.ok([...peers].every((peer) => names.includes(peer) || peer === 'self' || peer === 'other'));
});
