import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentId, parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { canonicalizeJson } from '../../../src/domain/canonical/jcs.ts';
import { parseStrictJson, type JsonObject, type JsonValue } from '../../../src/domain/canonical/strict-json.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import type { StateHead, StateObject } from '../../../src/domain/mesh-state.ts';
import { contentDigest } from '../../../src/domain/state-head.ts';
import {
  parseStateHead,
  parseStateObject,
  stateHeadToJson,
  stateObjectToJson,
} from '../../../src/domain/state-objects.ts';

const domain = parseTrustDomain('acme.example');
const planner = agentId(domain, 'planner');
const researcher = agentId(domain, 'team/researcher');
const hash = `sha256:${'0'.repeat(64)}` as const;

const baseline: StateObject = {
  kind: 'baseline',
  value: {
    id: 'planner-v1',
    agent: planner,
    state: 'approved',
    approvedAt: 1,
    notBefore: 2,
    notAfter: 3,
    minimumAssurance: { system_prompt: 'at_rest', knowledge_base: 'declared', model: 'declared', tools: 'declared' },
    digests: {
      system_prompt: { prompts: { main: { hash, canonicalization: 'ait-text-1' } } },
      knowledge_base: null,
      model: { provider: 'acme', id: 'm', version: '1' },
      tools: null,
    },
  },
};
const objects: readonly StateObject[] = [
  { kind: 'agent', value: { id: planner, lifecycle: 'active', sponsor: 'u-1', observeUntil: 9 } },
  { kind: 'agent', value: { id: researcher, lifecycle: 'retired' } },
  baseline,
  { kind: 'grant', value: { id: 'planner>team/researcher', from: planner, to: researcher } },
  {
    kind: 'grant',
    value: {
      id: 'g',
      from: planner,
      to: researcher,
      calls: [{ methods: ['GET', 'HEAD'], path: '/a/**' }, { path: '/b' }],
    },
  },
  { kind: 'revocation', value: { id: 'r1', kind: 'agent', subject: planner, reason: 'stolen' } },
  { kind: 'revocation', value: { id: 'r2', kind: 'instance', subject: 'abc', reason: 'stolen' } },
  { kind: 'endpoint', value: { agent: planner, instance: 'abc', address: '10.0.0.1:17443' } },
  { kind: 'bundle', value: { trustDomain: domain, document: { keys: [] } } },
];

const roundTrip = (json: JsonObject): JsonValue => parseStrictJson(canonicalizeJson(json));

for (const object of objects) {
  test(`a ${object.kind} survives the way to JSON and back: ${JSON.stringify(object.value).slice(0, 60)}`, () => {
    const read = parseStateObject(roundTrip(stateObjectToJson(object)));
    assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(object)));
  });
  test(`a ${object.kind} with a member too many, or one too few, is refused: ${JSON.stringify(object.value).slice(0, 60)}`, () => {
    const json = stateObjectToJson(object) as { kind: string; value: JsonObject };
    assert.throws(
      () => parseStateObject({ ...json, value: { ...json.value, extra: 1 } }),
      refusal(new RegExp(`^${object.kind}: `)),
    );
    const [first = ''] = Object.keys(json.value);
    const { [first]: _, ...fewer } = json.value;
    assert.throws(() => parseStateObject({ ...json, value: fewer }), refusal(/is missing$/));
  });
}

test('a dimension without digests is spelled out, and null or absent is refused', () => {
  const json = stateObjectToJson(baseline) as unknown as { kind: string; value: { digests: JsonObject } };
  assert.equal(json.value.digests['tools'], 'not_applicable');
  const withTools = (tools: JsonValue) => ({
    ...json,
    value: { ...json.value, digests: { ...json.value.digests, tools } },
  });
  assert.throws(() => parseStateObject(withTools(null)), refusal(/^baseline\.digests\.tools: /));
  assert.throws(() => parseStateObject(withTools({})), refusal(/^baseline\.digests\.tools: /));
});

test('a grant without calls is written as before there were any', () => {
  const value = { id: 'g', from: planner, to: researcher };
  assert.equal(
    canonicalizeJson(stateObjectToJson({ kind: 'grant', value })),
    `{"kind":"grant","value":{"from":"${planner}","id":"g","to":"${researcher}"}}`,
  );
});

test('calls that could mean more than was meant are refused, and named: the empty list, and what is no pattern', () => {
  for (const [calls, says] of [
    [[], /^grant\.calls: /],
    [null, /^grant\.calls: /],
    [{}, /^grant\.calls: /],
    [Array.from({ length: 101 }, () => ({ path: '/' })), /^grant\.calls: /],
    [['/a'], /^grant\.calls\[0\]: /],
    [[{ path: '/a' }, {}], /^grant\.calls\[1\]: /],
    [[{ path: '/a', methods: [] }], /^grant\.calls\[0\]\.methods: /],
    [[{ path: '/a', methods: null }], /^grant\.calls\[0\]\.methods: /],
    [[{ path: '/a', methods: ['get'] }], /^grant\.calls\[0\]: it has a method/],
    [[{ path: '/a', hosts: ['x'] }], /^grant\.calls\[0\]: /],
    [[{ path: 1 }], /^grant\.calls\[0\]\.path: /],
    [[{ path: '/a/../b' }], /^grant\.calls\[0\]: it has a segment/],
  ] as const) {
    const value = { id: 'g', from: planner, to: researcher, calls };
    assert.throws(() => parseStateObject({ kind: 'grant', value }), refusal(says), JSON.stringify(calls).slice(0, 80));
  }
});

test('a head survives the way to JSON and back, and its list must be sorted', () => {
  const list = ['a'.repeat(64), 'b'.repeat(64)];
  const head: StateHead = {
    domain,
    recipient: planner,
    epoch: 1,
    revision: 2,
    content: contentDigest(list),
    previous: { revision: 1, content: contentDigest([]) },
    issuedAt: 1,
    notAfter: 2,
    objects: list,
  };
  assert.deepEqual(parseStateHead(roundTrip(stateHeadToJson(head))), head);
  for (const objects of [list.toReversed(), [list[0]!, list[0]!], []]) {
    assert.throws(() => parseStateHead(stateHeadToJson({ ...head, objects })), refusal(/^head\.objects/));
  }
});

function refusal(pattern: RegExp) {
  return (error: unknown) => isMeshError(error, 'STATE_MALFORMED') && pattern.test(error.message);
}
