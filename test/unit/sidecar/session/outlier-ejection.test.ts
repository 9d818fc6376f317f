import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutlierEjection, type Ejection, type HealthKind } from '../../../../src/sidecar/session/outlier-ejection.ts';

const FIRST_MS = 5000;

function ejectionOf(addresses: readonly string[], { uniform = 0 } = {}) {
  let now = 0;
  const ejected: Ejection[] = [];
  const returned: string[] = [];
  const known = [...addresses];
  const ejection = new OutlierEjection({
    clock: { now: () => now, monotonic: () => now },
    random: { bytes: (count) => Buffer.alloc(count), uniform: () => uniform },
    threshold: () => 5,
    addresses: () => known,
    onEjected: (each) => void ejected.push(each),
    onReturned: (address) => void returned.push(address),
  });
  const fail = (address: string, times = 1, kind: HealthKind = 'connection') => {
    for (let time = 0; time < times; time += 1) ejection.observe(address, { outcome: 'failed', kind, detail: 'no' });
  };
  const well = (address: string, kind: HealthKind = 'connection') => ejection.observe(address, { outcome: 'ok', kind });
  const now_ = () => [...ejection.ejectedAmong(known)];
  return { ejection, ejected, returned, known, fail, well, ejectedNow: now_, pass: (ms: number) => void (now += ms) };
}

test('five failures in a row eject, four do not; one success in between begins anew', () => {
  const { fail, well, ejectedNow, ejected } = ejectionOf(['a', 'b']);
  fail('a', 4);
  well('a');
  fail('a', 4);
  assert.deepEqual(ejectedNow(), []);
  fail('a');
  assert.deepEqual(ejectedNow(), ['a']);
  assert.deepEqual(ejected, [{ address: 'a', kind: 'connection', failures: 5, forMs: FIRST_MS / 2, detail: 'no' }]);
});

test('good connections do not hide bad calls', () => {
  const { fail, well, ejectedNow } = ejectionOf(['a', 'b']);
  for (let call = 0; call < 5; call += 1) {
    well('a', 'connection');
    fail('a', 1, 'call');
  }
  assert.deepEqual(ejectedNow(), ['a']);
});

test('at most half of the known instances, and the last one never', () => {
  for (const [addresses, most] of [
    [['a'], 0],
    [['a', 'b'], 1],
    [['a', 'b', 'c'], 1],
    [['a', 'b', 'c', 'd'], 2],
  ] as const) {
    const { fail, ejectedNow } = ejectionOf(addresses);
    for (const address of addresses) fail(address, 20);
    assert.equal(ejectedNow().length, most, addresses.join());
  }
});

test('instances that leave make no room for more ejections than half of those that stay', () => {
  const { fail, ejectedNow, known } = ejectionOf(['a', 'b', 'c', 'd']);
  fail('a', 5);
  fail('b', 5);
  assert.deepEqual(ejectedNow().toSorted(), ['a', 'b']);
  known.splice(2, 2);
  assert.equal(ejectedNow().length, 1);
  known.splice(1, 1);
  assert.deepEqual(ejectedNow(), []);
});

test('each ejection is bounded by twice as much as the one before, jittered, and by five minutes', () => {
  const { fail, pass, ejected, ejectedNow } = ejectionOf(['a', 'b'], { uniform: 0.5 });
  fail('a', 5);
  for (let round = 0; round < 9; round += 1) {
    pass(10 * 60_000);
    assert.deepEqual(ejectedNow(), []);
    // On probation one failure is enough.
    fail('a');
    assert.deepEqual(ejectedNow(), ['a']);
  }
  const bounds = ejected.map(({ forMs }) => forMs / 0.75 / 1000);
  assert.deepEqual(bounds, [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
});

test('one that is well again is told, and after as long as it was ejected all is forgiven', () => {
  const { fail, well, pass, ejected, returned } = ejectionOf(['a', 'b']);
  fail('a', 5);
  well('a');
  assert.deepEqual(returned, [], 'what was under way when it was ejected says nothing');
  pass(FIRST_MS / 2);
  well('a');
  assert.deepEqual(returned, ['a']);
  fail('a', 4);
  assert.equal(ejected.length, 1, 'no longer on probation');
  fail('a');
  assert.equal(ejected[1]?.forMs, FIRST_MS, 'too soon: twice as long');
  pass(2 * FIRST_MS);
  well('a');
  fail('a', 5);
  assert.equal(ejected[2]?.forMs, FIRST_MS / 2);
});

test('nothing is kept of instances that are gone, nor of those that are well; a stranger is never ejected', () => {
  const { ejection, fail, well, ejectedNow } = ejectionOf(['a', 'b']);
  fail('stranger', 50);
  assert.deepEqual(ejectedNow(), []);
  assert.equal(ejection.failuresOf('stranger'), 50);
  ejection.keep(new Set(['a', 'b']));
  assert.equal(ejection.failuresOf('stranger'), 0);
  fail('a', 2);
  assert.deepEqual(ejection.describe('a'), { failures: 2, ejectedForMs: 0, lastFailure: 'no' });
  well('a');
  assert.deepEqual(ejection.describe('a'), { failures: 0, ejectedForMs: 0, lastFailure: '' });
});
