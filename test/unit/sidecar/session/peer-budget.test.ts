import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '../../../../src/domain/agent-id.ts';
import { PeerBudget, type ConnectionShare } from '../../../../src/sidecar/session/peer-budget.ts';

const PEER = parseSpiffeId('spiffe://acme.example/agent/researcher');
const OTHER = parseSpiffeId('spiffe://acme.example/agent/writer');
const NONE = { connections: 0, pending: 0, calls: 0 };

function budgetOf(limits = { connections: 3, pending: 2, calls: 2 }) {
  const exceeded: string[] = [];
  const inForce = { ...limits };
  const budget = new PeerBudget({
    limitsOf: (peer) => (peer === PEER ? inForce : undefined),
    onExceeded: (_peer, name) => void exceeded.push(name),
  });
  const open = (): ConnectionShare => {
    const share = budget.open(PEER);
    assert.ok(!('code' in share), JSON.stringify(share));
    return share;
  };
  return { budget, exceeded, open, inForce };
}

test('as many connections wait, and as many are open, as may be; one more is refused by its name', () => {
  const { budget, exceeded, open } = budgetOf();
  const waiting = [open(), open()];
  const refused = budget.open(PEER);
  assert.ok('code' in refused && refused.code === 'PEER_BUDGET_EXCEEDED');
  assert.match(refused.detail, /^2 connections that wait/);
  for (const share of waiting) share.placed();
  open().placed();
  const full = budget.open(PEER);
  assert.ok('code' in full && full.detail.startsWith('3 open connections'));
  assert.deepEqual(exceeded, ['pending', 'connections']);
  waiting[0]?.give();
  open();
});

test('what is given back twice counts once, and nothing is kept of a peer that has nothing under way', () => {
  const { budget, open } = budgetOf();
  const [one, two] = [open(), open()];
  one.give();
  one.give();
  one.placed();
  assert.deepEqual(budget.used(PEER), { connections: 1, pending: 1, calls: 0 });
  two.placed();
  two.placed();
  two.give();
  assert.deepEqual(budget.used(PEER), NONE);
});

test('calls have a budget of their own', () => {
  const { budget, exceeded } = budgetOf();
  assert.deepEqual([budget.take(PEER), budget.take(PEER), budget.take(PEER)], [true, true, false]);
  budget.give(PEER);
  assert.equal(budget.take(PEER), true);
  assert.deepEqual(exceeded, ['calls']);
  budget.give(PEER);
  budget.give(PEER);
  budget.give(PEER);
  assert.deepEqual(budget.used(PEER), NONE, 'one too many gives no credit');
});

test('a limit that is lowered ends nothing, and holds for what comes; a peer without limits has no budget', () => {
  const { budget, open, inForce } = budgetOf();
  const [one, two] = [open(), open()];
  inForce.connections = 1;
  one.give();
  assert.ok('code' in budget.open(PEER));
  two.give();
  open();
  assert.ok('code' in budget.open(OTHER));
  assert.equal(budget.take(OTHER), false);
});
