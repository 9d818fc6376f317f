import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { readPolicyFile } from '../../../../src/authority/policy/policy-objects.ts';
import { indexPolicy } from '../../../../src/authority/policy/policy-index.ts';
import { mayCut } from '../../../../src/authority/policy/policy-narrowing.ts';
import { viewFor } from '../../../../src/authority/state/recipient-view.ts';
import { agentId, inferenceId } from '../../../../src/domain/agent-id.ts';
import type { Revocation, StateObject } from '../../../../src/domain/mesh-state.ts';
import { parseStateObject, stateObjectToJson } from '../../../../src/domain/state-objects.ts';
import { TRUST_DOMAIN } from '../../../support/authority-harness.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const VALID = {
  kind: 'InferenceService',
  id: 'default',
  agents: ['planner', 'writer'],
  measurements: [DIGEST],
  evidence_roots: [DIGEST],
};
const read = (changes: object) => readPolicyFile('x.yaml', stringify({ ...VALID, ...changes }), TRUST_DOMAIN);

test('a service is read, survives as state, and accepts simulated evidence only where a file says so', () => {
  const [record] = read({}).records;
  assert.deepEqual(record?.object.value, {
    id: 'spiffe://acme.example/inference/default',
    agents: ['planner', 'writer'].map((name) => agentId(TRUST_DOMAIN, name)),
    measurements: [DIGEST],
    evidenceRoots: [DIGEST],
    acceptSimulatedEvidence: false,
  });
  assert.deepEqual(parseStateObject(stateObjectToJson(record.object)), record.object);
  assert.equal(read({ state: 'withdrawn' }).records[0]?.withdrawn, true);
});

const BAD: readonly [object, string][] = [
  [{ agents: [] }, 'agents'],
  [{ agents: 'planner' }, 'agents'],
  [{ agents: ['planner', 'planner'] }, 'agents[1]'],
  [{ agents: ['spiffe://acme.example/operator/ada'] }, 'agents[0]'],
  [{ agents: ['spiffe://evil.example/agent/planner'] }, 'agents[0]'],
  [{ measurements: [] }, 'measurements'],
  [{ measurements: [DIGEST.toUpperCase()] }, 'measurements[0]'],
  [{ measurements: undefined }, 'measurements'],
  [{ evidence_roots: [] }, 'evidence_roots'],
  [{ evidence_roots: ['a'.repeat(64)] }, 'evidence_roots[0]'],
  [{ accept_simulated_evidence: 'yes' }, 'accept_simulated_evidence'],
  [{ id: 'a/b' }, 'id'],
  [{ id: 'spiffe://evil.example/inference/default' }, 'id'],
  [{ state: 'gone' }, 'state'],
  [{ insecure: true }, 'insecure'],
];
for (const [changes, field] of BAD) {
  test(`refused at its field: ${JSON.stringify(changes)}`, () => {
    const { records, problems } = read(changes);
    assert.deepEqual(records, []);
    assert.ok(
      problems.some((problem) => problem.field === field && problem.line > 0),
      JSON.stringify(problems),
    );
  });
}

test('only an agent that may use the service learns of it and of its revocations, and not who else may', () => {
  const service = read({}).records[0]!.object;
  const id = inferenceId(TRUST_DOMAIN, 'default');
  const revocation: Revocation = { id: 'r', kind: 'instance', subject: 'i-1', reason: 'stolen' };
  const objects: StateObject[] = [service, { kind: 'revocation', value: revocation }];
  const source = {
    policy: indexPolicy(objects),
    endpointsOf: new Map(),
    bundle: { trustDomain: TRUST_DOMAIN, document: {} },
    wanted: { of: () => new Set<never>(), by: () => new Set<never>() },
    now: 0,
    ownerOf: () => id,
  };
  const kindsFor = (name: string) => viewFor(agentId(TRUST_DOMAIN, name), source);
  const [planner, stranger] = [kindsFor('planner'), kindsFor('stranger')];
  assert.deepEqual(planner.find(({ kind }) => kind === 'inference_service')?.value, {
    ...service.value,
    agents: [agentId(TRUST_DOMAIN, 'planner')],
  });
  assert.ok(planner.some(({ kind }) => kind === 'revocation'));
  assert.deepEqual(
    stranger.map(({ kind }) => kind),
    ['bundle'],
  );
});

test('to change or withdraw a service ends no session', () => {
  const service = read({}).records[0]!.object;
  assert.equal(mayCut([service], []), false);
});
