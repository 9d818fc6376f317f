import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FloodGuard, type Nuisance } from '../../../../src/dataplane/gate/flood-guard.ts';
import { StillClock } from '../../../support/bare-gate.ts';

const CALM = { code: 'ENHANCE_YOUR_CALM' };
const BUDGETS: readonly (readonly [Nuisance, burst: number, perSecond: number])[] = [
  ['reset', 1000, 33],
  ['refused', 1000, 200],
  ['ping', 200, 20],
  ['settings', 64, 2],
  ['empty DATA', 1000, 50],
  ['other frame', 1000, 200],
];

function times(count: number, act: () => void): void {
  for (let i = 0; i < count; i += 1) act();
}

for (const [what, burst, perSecond] of BUDGETS) {
  test(`${what}: ${burst} at once and ${perSecond} a second, and not one more`, () => {
    const clock = new StillClock();
    const guard = new FloodGuard(clock);
    times(burst, () => guard.spend(what));
    assert.throws(() => guard.spend(what), CALM);
    for (let second = 1; second <= 3; second += 1) {
      clock.ms = second * 1000;
      times(perSecond, () => guard.spend(what));
      assert.throws(() => guard.spend(what), CALM);
    }
  });
}

test('one nuisance does not use up what another may', () => {
  const guard = new FloodGuard(new StillClock());
  times(64, () => guard.spend('settings'));
  for (const [what] of BUDGETS) if (what !== 'settings') guard.spend(what);
  assert.throws(() => guard.spend('settings'), CALM);
});

test('window updates: some ahead, then four for each piece of DATA, and a few by time', () => {
  const clock = new StillClock();
  const guard = new FloodGuard(clock);
  times(4096 + 200, () => guard.spendWindowUpdate());
  assert.throws(() => guard.spendWindowUpdate(), CALM);
  guard.earn();
  times(4, () => guard.spendWindowUpdate());
  assert.throws(() => guard.spendWindowUpdate(), CALM);
  clock.ms = 1000;
  times(200, () => guard.spendWindowUpdate());
  assert.throws(() => guard.spendWindowUpdate(), CALM);
});

test('what DATA earns is bounded: a long answer does not buy a flood', () => {
  const guard = new FloodGuard(new StillClock());
  times(1_000_000, () => guard.earn());
  times(65_536 + 200, () => guard.spendWindowUpdate());
  assert.throws(() => guard.spendWindowUpdate(), CALM);
  times(1024 + 200, () => guard.spendPing());
  assert.throws(() => guard.spendPing(), CALM);
});
