import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRegistry } from '../../../src/platform/metrics-registry.ts';

test('a scrape is OpenMetrics: prefixed, typed, ended, with Node metrics under their usual names', async () => {
  const registry = createRegistry();
  const joins = registry.counter({ name: 'joins_total', help: 'Joins.', labels: { result: ['ok', 'refused'] } });
  joins.add({ result: 'ok' });
  joins.add({ result: 'ok' }, 2);
  const text = await registry.render();
  assert.match(registry.contentType, /^application\/openmetrics-text/);
  assert.match(text, /# TYPE ait_joins counter\n/);
  assert.match(text, /ait_joins_total\{result="ok"\} 3\n/);
  assert.match(text, /nodejs_eventloop_lag_seconds/);
  assert.match(text, /# EOF\n?$/);
});

test('gauges and histograms are set, added to, observed and removed', async () => {
  const registry = createRegistry({ defaultMetrics: false });
  const watchers = registry.gauge({ name: 'watchers', help: 'Watchers.' });
  watchers.set(4);
  watchers.add(-1);
  const sessions = registry.gauge({ name: 'sessions', help: 'Sessions.', labels: { peer: 'configured' } });
  sessions.set({ peer: 'a' }, 1);
  sessions.remove({ peer: 'a' });
  const time = registry.histogram({ name: 'time_seconds', help: 'Time.', buckets: [0.1, 1] });
  time.observe(0.5);
  const text = await registry.render();
  assert.match(text, /ait_watchers 3\n/);
  assert.doesNotMatch(text, /ait_sessions\{/);
  assert.match(text, /ait_time_seconds_bucket\{le="1"\} 1\n/);
});

test('beyond the cap new series are dropped and counted, old ones live on', async () => {
  const registry = createRegistry({ defaultMetrics: false, maxSeries: 2 });
  const calls = registry.counter({ name: 'calls_total', help: 'Calls.', labels: { peer: 'configured' } });
  for (const peer of ['a', 'b', 'c', 'd', 'a']) calls.add({ peer });
  const text = await registry.render();
  assert.equal(registry.seriesCount, 2);
  assert.match(text, /ait_calls_total\{peer="a"\} 2\n/);
  assert.doesNotMatch(text, /peer="c"/);
  assert.match(text, /ait_metric_series_dropped_total 2\n/);
});

test('idle series are evicted and make room', async () => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const registry = createRegistry({ defaultMetrics: false, maxSeries: 1, clock });
  const calls = registry.counter({
    name: 'calls_total',
    help: 'Calls.',
    labels: { peer: 'configured' },
    idleAfterMs: 10,
  });
  calls.add({ peer: 'a' });
  now = 11;
  assert.doesNotMatch(await registry.render(), /peer="a"/);
  calls.add({ peer: 'b' });
  assert.match(await registry.render(), /peer="b"/);
});

test('a counter that is not named like one is refused', () => {
  assert.throws(() => createRegistry({ defaultMetrics: false }).counter({ name: 'calls', help: '' }), RangeError);
});
