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

test('a held series is written at the scrape, and by all who hold it', async () => {
  const registry = createRegistry({ defaultMetrics: false });
  const calls = registry.counter({ name: 'calls_total', help: 'Calls.', labels: { peer: 'configured' } });
  const open = registry.gauge({ name: 'open', help: 'Open.', labels: { peer: 'configured' } });
  const time = registry.histogram({ name: 's', help: 'Time.', labels: { peer: 'configured' }, buckets: [0.1, 1] });
  for (const series of [calls.series({ peer: 'a' }), calls.series({ peer: 'a' })]) series.add(2);
  calls.add({ peer: 'a' });
  const level = open.series({ peer: 'a' });
  level.add(3);
  level.add(-1);
  for (const value of [0.1, 0.5, 7]) time.series({ peer: 'a' }).observe(value);
  const text = await registry.render();
  assert.match(text, /ait_calls_total\{peer="a"\} 5\n/);
  assert.match(text, /ait_open\{peer="a"\} 2\n/);
  assert.match(text, /ait_s_bucket\{le="0\.1",peer="a"\} 1\nait_s_bucket\{le="1",peer="a"\} 2\n/);
  assert.match(text, /ait_s_bucket\{le="\+Inf",peer="a"\} 3\nait_s_sum\{peer="a"\} 7\.6\nait_s_count\{peer="a"\} 3\n/);
  assert.equal(await registry.render(), text, 'nothing is written twice');
});

test('a held series that was evicted comes back with its next use; one that is not at 0 stays', async () => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const registry = createRegistry({ defaultMetrics: false, clock });
  const options = { help: 'Of a peer.', labels: { peer: 'configured' }, idleAfterMs: 10 } as const;
  const calls = registry.counter({ ...options, name: 'calls_total' }).series({ peer: 'a' });
  const open = registry.gauge({ ...options, name: 'open' }).series({ peer: 'a' });
  const time = registry.histogram({ ...options, name: 's', buckets: [1] }).series({ peer: 'a' });
  calls.add(4);
  open.add(1);
  time.observe(2);
  await registry.render();
  now = 11;
  const later = await registry.render();
  assert.doesNotMatch(later, /ait_calls_total\{|ait_s_count\{/);
  assert.match(later, /ait_open\{peer="a"\} 1\n/);
  calls.add(1);
  time.observe(3);
  open.add(-1);
  const again = await registry.render();
  assert.match(again, /ait_calls_total\{peer="a"\} 1\n/);
  assert.match(again, /ait_s_sum\{peer="a"\} 3\n/);
  assert.match(again, /ait_open\{peer="a"\} 0\n/);
  now = 40;
  await registry.render();
  assert.equal(registry.seriesCount, 0);
});

test('a held series beyond the cap is dropped and counted; a level that found no room later is still right', async () => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const registry = createRegistry({ defaultMetrics: false, maxSeries: 1, clock });
  const options = { help: 'Of a peer.', labels: { peer: 'configured' }, idleAfterMs: 10 } as const;
  registry
    .counter({ ...options, name: 'calls_total' })
    .series({ peer: 'a' })
    .add(1);
  const open = registry.gauge({ ...options, name: 'open' }).series({ peer: 'a' });
  open.add(1);
  open.add(1);
  const text = await registry.render();
  assert.match(text, /ait_metric_series_dropped_total 2\n/);
  assert.doesNotMatch(text, /ait_open\{/);
  now = 11;
  await registry.render();
  open.add(-1);
  assert.match(await registry.render(), /ait_open\{peer="a"\} 1\n/);
});

test('a histogram takes no bounds that do not ascend, and no value that is no number', async () => {
  const registry = createRegistry({ defaultMetrics: false });
  for (const buckets of [
    [1, 1],
    [2, 1],
    [1, Infinity],
  ]) {
    assert.throws(() => registry.histogram({ name: 'bad', help: 'Bad.', buckets }), RangeError);
  }
  const time = registry.histogram({ name: 'time_seconds', help: 'Time.', buckets: [1] });
  assert.throws(() => time.observe(Number.NaN), TypeError);
  assert.match(await registry.render(), /ait_time_seconds_count 0\n/);
});
