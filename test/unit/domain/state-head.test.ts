import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentId, parseTrustDomain } from '../../../src/domain/agent-id.ts';
import type { StateHead } from '../../../src/domain/mesh-state.ts';
import { acceptHead, contentDigest, type HeadQuestion } from '../../../src/domain/state-head.ts';

const domain = parseTrustDomain('acme.example');
const recipient = agentId(domain, 'planner');
const [x, y] = ['a'.repeat(64), 'b'.repeat(64)];

function head(changes: Partial<StateHead> = {}): StateHead {
  const objects = changes.objects ?? [x];
  return {
    domain,
    recipient,
    epoch: 1,
    revision: 5,
    content: contentDigest(objects),
    previous: { revision: 4, content: contentDigest([y]) },
    issuedAt: 1000,
    notAfter: 2000,
    ...changes,
    objects,
  };
}

const current = head();
const other = contentDigest([x, y]);
const cases: readonly [name: string, question: Partial<HeadQuestion>, expected: string][] = [
  ['the first head', { current: undefined }, 'new'],
  ['the same content with a later end', { next: head({ notAfter: 3000, issuedAt: 1500 }) }, 'refresh'],
  ['the next revision', { next: head({ revision: 6, previous: { revision: 5, content: current.content } }) }, 'new'],
  ['a revision that skips some', { next: head({ revision: 9, previous: { revision: 8, content: other } }) }, 'new'],
  ['a new epoch', { next: head({ epoch: 2, revision: 1, previous: null }) }, 'new'],
  ['a lower epoch', { current: head({ epoch: 2 }) }, 'STATE_ROLLED_BACK'],
  ['a lower revision', { next: head({ revision: 4, previous: null }) }, 'STATE_ROLLED_BACK'],
  ['an older signature', { next: head({ issuedAt: 999 }) }, 'STATE_ROLLED_BACK'],
  ['the same revision with another content', { next: head({ objects: [x, y] }) }, 'STATE_FORKED'],
  [
    'a successor of another branch',
    { next: head({ revision: 6, previous: { revision: 5, content: other } }) },
    'STATE_FORKED',
  ],
  ['a head for somebody else', { recipient: agentId(domain, 'other') }, 'STATE_WRONG_RECIPIENT'],
  ['a head of another domain', { domain: parseTrustDomain('evil.example') }, 'STATE_WRONG_DOMAIN'],
  ['a head whose content is not its list', { next: head({ content: other }) }, 'STATE_CONTENT_MISMATCH'],
  ['a head at its end', { now: 2000 }, 'STATE_EXPIRED'],
];

for (const [name, question, expected] of cases) {
  test(`${name}: ${expected}`, () => {
    const decision = acceptHead({ current, next: head(), recipient, domain, now: 1500, ...question });
    const outcome = decision.accepted ? (decision.refresh ? 'refresh' : 'new') : decision.code;
    assert.equal(outcome, expected, JSON.stringify(decision));
  });
}

test('the content digest does not depend on order or repetition, and on everything else', () => {
  assert.equal(contentDigest([x, y]), contentDigest([y, x, y]));
  assert.notEqual(contentDigest([x]), contentDigest([x, y]));
  assert.notEqual(contentDigest([]), contentDigest([x]));
});
