import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  agentId,
  agentNameOf,
  authorityId,
  isSpiffeId,
  kindOf,
  parseSpiffeId,
  parseTrustDomain,
  pathOf,
  resolveAgentId,
  trustDomainOf,
} from '../../../src/domain/agent-id.ts';

const ACME = parseTrustDomain('acme.example');

for (const text of [
  'spiffe://acme.example/agent/planner',
  'spiffe://acme.example/agent/team/planner',
  'spiffe://a/b',
  'spiffe://a_b-c.d/agent/A-Z_0.9',
  `spiffe://acme.example/agent/${'x'.repeat(2000)}`,
]) {
  test(`is a SPIFFE ID: ${text.slice(0, 60)}`, () => assert.equal(parseSpiffeId(text), text));
}

for (const text of [
  '',
  'planner',
  'spiffe://',
  'spiffe:///agent/planner',
  'spiffe://acme.example',
  'spiffe://acme.example/',
  'spiffe://acme.example/agent/',
  'spiffe://acme.example//planner',
  'spiffe://acme.example/agent/../planner',
  'spiffe://acme.example/agent/./planner',
  'spiffe://acme.example/agent/pl%61nner',
  'spiffe://acme.example/agent/planner?x',
  'spiffe://acme.example/agent/planner#x',
  'spiffe://acme.example:443/agent/planner',
  'spiffe://user@acme.example/agent/planner',
  'spiffe://ACME.example/agent/planner',
  'SPIFFE://acme.example/agent/planner',
  'https://acme.example/agent/planner',
  'spiffe://acme.example/agent/planner\n',
  'spiffe://acme.example/agent/planner\0',
  'spiffe://acme.example/agent/pl anner',
  'spiffe://acme.example/agent/plänner',
  ' spiffe://acme.example/agent/planner',
  `spiffe://${'x'.repeat(256)}/agent/planner`,
  `spiffe://acme.example/agent/${'x'.repeat(2048)}`,
]) {
  test(`is no SPIFFE ID: ${JSON.stringify(text).slice(0, 60)}`, () => {
    assert.throws(() => parseSpiffeId(text), { code: 'SPIFFE_ID_INVALID' });
    assert.equal(isSpiffeId(text), false);
  });
}

test('whatever is no text is no SPIFFE ID', () => {
  for (const value of [undefined, null, 7, {}, ['spiffe://a/b']]) assert.equal(isSpiffeId(value), false);
});

test('only a name below /agent/ is an agent; the authority and the verifier stand alone', () => {
  const kinds = {
    'agent/x': 'agent',
    'agent/x/y': 'agent',
    agent: undefined,
    authority: 'authority',
    'authority/x': undefined,
    verifier: 'verifier',
    'verifier/x': undefined,
    'inference/1': 'inference',
    inference: undefined,
    'operator/ada': 'operator',
    operator: undefined,
    agents: undefined,
    'Agent/x': undefined,
    'x/agent': undefined,
  };
  for (const [path, kind] of Object.entries(kinds))
    assert.equal(kindOf(parseSpiffeId(`spiffe://acme.example/${path}`)), kind, path);
});

test('the parts of an ID, and the ID of the parts', () => {
  const id = agentId(ACME, 'team/planner');
  assert.deepEqual(
    [trustDomainOf(id), pathOf(id), agentNameOf(id)],
    ['acme.example', 'agent/team/planner', 'team/planner'],
  );
  assert.equal(authorityId(ACME), 'spiffe://acme.example/authority');
});

test('people may write a bare name or a whole ID, and nothing that is no agent', () => {
  assert.equal(resolveAgentId(ACME, 'planner'), 'spiffe://acme.example/agent/planner');
  assert.equal(resolveAgentId(ACME, 'spiffe://other.example/agent/x'), 'spiffe://other.example/agent/x');
  for (const text of ['', '..', 'a b', '/planner', 'spiffe://acme.example/authority', 'spiffe://acme.example/agent']) {
    assert.throws(() => resolveAgentId(ACME, text), { code: 'SPIFFE_ID_INVALID' }, text);
  }
});

for (const text of ['', 'ACME', 'acme example', 'acme/x', 'acme:443', 'ä', 'a'.repeat(256)]) {
  test(`is no trust domain: ${JSON.stringify(text).slice(0, 30)}`, () => {
    assert.throws(() => parseTrustDomain(text), { code: 'SPIFFE_ID_INVALID' });
  });
}
