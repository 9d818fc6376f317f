import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '../../../src/domain/agent-id.ts';
import { createGrantTable } from '../../../src/domain/grant-policy.ts';

const [a, b, c] = ['a', 'b', 'a/b'].map((name) => parseSpiffeId(`spiffe://acme.example/agent/${name}`)) as [
  never,
  never,
  never,
];

test('no grants: nobody may', () => {
  assert.deepEqual(createGrantTable([]).decide({ from: a, to: b }), { allowed: false });
});

test('a grant is for exactly its pair: not the way back, not itself, not a longer name', () => {
  const policy = createGrantTable([{ id: 'g', from: a, to: b }]);
  assert.deepEqual(policy.decide({ from: a, to: b }), { allowed: true, grant: 'g' });
  for (const request of [
    { from: b, to: a },
    { from: a, to: a },
    { from: b, to: b },
    { from: c, to: b },
    { from: a, to: c },
  ]) {
    assert.deepEqual(policy.decide(request), { allowed: false });
  }
});

test('the same name in another trust domain is somebody else', () => {
  const policy = createGrantTable([{ id: 'g', from: a, to: b }]);
  const stranger = parseSpiffeId('spiffe://evil.example/agent/a');
  assert.deepEqual(policy.decide({ from: stranger, to: b }), { allowed: false });
});
