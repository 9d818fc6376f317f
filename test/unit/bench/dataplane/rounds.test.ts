import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContenderId } from '../../../../bench/support/dataplane/contenders.ts';
import { inRounds } from '../../../../bench/support/dataplane/rounds.ts';
import type { ProxyPair } from '../../../../bench/support/proxies.ts';

function pairNamed(name: string): ProxyPair {
  return { name, port: 1, between: 2, pids: [1, 1], stop: () => Promise.resolve() };
}

const running = new Map<ContenderId, ProxyPair>([
  ['shipped', pairNamed('a')],
  ['haproxy', pairNamed('b')],
  ['nginx', pairNamed('c')],
]);

test('every contender runs once a round, and each round begins with another', async () => {
  const order: string[] = [];
  await inRounds(2, running, ({ name }) => {
    order.push(name);
    return Promise.resolve({ value: 1 });
  });
  assert.equal(order.join(''), 'abcbcacab');
});

test('the round that warms up counts for nothing', async () => {
  let runs = 0;
  const samples = await inRounds(1, running, () => Promise.resolve({ value: (runs += 1) }));
  assert.deepEqual(
    samples.all('shipped', ({ value }) => value),
    [6],
  );
  assert.equal(
    samples.ratio('shipped', 'haproxy', ({ value }) => value),
    6 / 4,
  );
});

test('who took no part has no median and no ratio', async () => {
  const samples = await inRounds(1, running, () => Promise.resolve({ value: 1 }));
  assert.equal(
    samples.median('grpc', ({ value }) => value),
    Number.NaN,
  );
  assert.equal(
    samples.ratio('shipped', 'grpc', ({ value }) => value),
    Number.NaN,
  );
});
