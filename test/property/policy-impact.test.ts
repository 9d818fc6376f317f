import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { computeImpact, type ReportedInstance } from '../../src/authority/policy/policy-impact.ts';
import { mayCut } from '../../src/authority/policy/policy-narrowing.ts';
import type { Assurance, Measurement } from '../../src/domain/measurement.ts';
import type { StateObject } from '../../src/domain/mesh-state.ts';
import { MEASUREMENT } from '../unit/crypto/fixture.ts';
import {
  admissibleWorld,
  admitIn,
  baseline,
  NOW,
  outcomeOf,
  PEER,
  reconsiderIn,
  SELF,
  type World,
} from '../support/admission-world.ts';

const OTHER: Measurement = { ...MEASUREMENT, model: { ...MEASUREMENT.model, version: '4' } as never };
const INSTANCE = 'instance-1';

/** One policy about the peer, and which way round the session is. */
const policies = fc.record({
  lifecycle: fc.constantFrom('active', 'active', 'suspended', 'retired'),
  sponsored: fc.boolean(),
  observes: fc.constantFrom(undefined, NOW - 1, NOW + 3_600_000),
  granted: fc.constantFrom(true, true, false),
  revoked: fc.constantFrom(undefined, undefined, undefined, 'agent', 'instance'),
  baselines: fc.array(
    fc.record({
      ours: fc.boolean(),
      state: fc.constantFrom('approved', 'approved', 'retired', 'revoked'),
      notBefore: fc.constantFrom(undefined, NOW - 10, NOW + 5_000),
      notAfter: fc.constantFrom(undefined, NOW - 5, NOW + 10_000),
      demand: fc.constantFrom<Assurance>('declared', 'declared', 'attested'),
    }),
    { maxLength: 3 },
  ),
});
type Policy = typeof policies extends fc.Arbitrary<infer T> ? T : never;

function worldOf(policy: Policy): World {
  const world = admissibleWorld();
  const { lifecycle, sponsored, observes, granted, revoked } = policy;
  world.agent = {
    id: PEER,
    lifecycle: lifecycle as 'active',
    ...(sponsored && { sponsor: 'u-1' }),
    ...(observes !== undefined && { observeUntil: observes }),
  };
  world.grants = granted ? [{ id: 'g1', from: PEER, to: SELF }] : [];
  world.revocations =
    revoked === undefined
      ? []
      : [{ id: 'r', kind: revoked, subject: revoked === 'agent' ? PEER : INSTANCE, reason: 'test' }];
  world.baselines = policy.baselines.map(({ ours, state, notBefore, notAfter, demand }, index) =>
    baseline(`b${index}`, {
      digests: ours ? MEASUREMENT : OTHER,
      state: state as 'approved',
      ...(notBefore !== undefined && { notBefore }),
      ...(notAfter !== undefined && { notAfter }),
      minimumAssurance: { system_prompt: 'declared', knowledge_base: 'declared', model: demand, tools: 'declared' },
    }),
  );
  return world;
}

/** The same policy as the authority has it; our own side is always in order. */
function objectsOf({ agent, grants, revocations, baselines }: World): StateObject[] {
  return [
    ...(agent === undefined ? [] : [{ kind: 'agent' as const, value: agent }]),
    { kind: 'agent', value: { id: SELF, lifecycle: 'active', sponsor: 'u-2' } },
    { kind: 'baseline', value: { ...baseline('self'), agent: SELF } },
    ...baselines.map((value) => ({ kind: 'baseline' as const, value })),
    ...grants.map((value) => ({ kind: 'grant' as const, value })),
    ...revocations.map((value) => ({ kind: 'revocation' as const, value })),
  ];
}

function reportedBy(measurement: Measurement | undefined): ReportedInstance[] {
  return [
    {
      id: INSTANCE,
      agent: PEER,
      measurement,
      baseline: 'planner-1',
      sessions: [{ peer: SELF, peerInstance: 'self-1', role: 'dialler' }],
    },
    {
      id: 'self-1',
      agent: SELF,
      measurement: MEASUREMENT,
      sessions: [{ peer: PEER, peerInstance: INSTANCE, role: 'acceptor' }],
    },
  ];
}

const impactOf = (before: World, after: World, { known = true } = {}) =>
  computeImpact({
    before: objectsOf(before),
    after: objectsOf(after),
    reported: reportedBy(known ? MEASUREMENT : undefined),
    now: NOW,
  });

async function permit() {
  const admission = await admitIn(admissibleWorld());
  assert.ok(admission.admitted);
  return admission.permit;
}

test('it never says that nothing ends when a sidecar that judges again would end it', async () => {
  const open = await permit();
  let ended = 0;
  fc.assert(
    fc.property(policies, policies, fc.boolean(), (one, other, known) => {
      const [before, after] = [worldOf(one), worldOf(other)];
      if (outcomeOf(reconsiderIn(before, open)) !== 'admitted') return;
      const code = outcomeOf(reconsiderIn(after, open));
      if (code === 'admitted') return;
      ended += 1;
      const impact = impactOf(before, after, { known });
      // Without a grant our side waives what the other side, which nobody observes, never did.
      assert.ok(impact.sessions.length === 1 || !one.granted, JSON.stringify({ code, impact }));
      if (known && impact.sessions.length === 1) assert.equal(impact.sessions[0]?.code, code);
    }),
    { numRuns: 10_000 },
  );
  assert.ok(ended > 50, `only ${ended} cases were about an end`);
});

test('it lists no end at once that no sidecar would make, where the measurement is known', async () => {
  const open = await permit();
  fc.assert(
    fc.property(policies, policies, (one, other) => {
      const [before, after] = [worldOf(one), worldOf({ ...other, observes: undefined })];
      const [session] = impactOf(before, after).sessions;
      if (session === undefined || session.at !== undefined) return;
      assert.equal(outcomeOf(reconsiderIn(after, open)), session.code);
    }),
    { numRuns: 2_000 },
  );
});

test('what ends later, within a day, is listed with its time', async () => {
  const before = admissibleWorld();
  const after = { ...admissibleWorld(), baselines: [baseline('planner-1', { notAfter: NOW + 60_000 })] };
  const [session] = impactOf(before, after).sessions;
  assert.equal(session?.at, NOW + 60_000);
  const far = { ...admissibleWorld(), baselines: [baseline('planner-1', { notAfter: NOW + 2 * 86_400_000 })] };
  assert.deepEqual(impactOf(before, far).sessions, []);
});

test('a revocation is listed and not counted; what is cut besides is', () => {
  const before = admissibleWorld();
  const revoked = worldOf({
    ...ORDINARY,
    revoked: 'agent',
  });
  const impact = impactOf(before, revoked);
  assert.deepEqual([impact.sessions.length, impact.ending, impact.total], [1, 0, 1]);
  const baselineRevoked = { ...admissibleWorld(), baselines: [baseline('planner-1', { state: 'revoked' })] };
  assert.equal(impactOf(before, baselineRevoked).ending, 0);
  assert.equal(impactOf(before, worldOf({ ...ORDINARY, lifecycle: 'suspended' })).ending, 1);
});

test('a retired baseline cuts nobody, drains its sessions and admits nobody again', () => {
  const retired = { ...admissibleWorld(), baselines: [baseline('planner-1', { state: 'retired' })] };
  const impact = impactOf(admissibleWorld(), retired);
  assert.deepEqual([impact.ending, impact.draining, impact.instances.length], [0, 1, 1]);
});

test('an unknown measurement is affected when something approved is lost, and not when something is added', () => {
  const before = admissibleWorld();
  const wider = { ...admissibleWorld(), baselines: [baseline('planner-1'), baseline('b2', { digests: OTHER })] };
  assert.equal(impactOf(before, wider, { known: false }).ending, 0);
  assert.equal(impactOf(wider, before, { known: false }).ending, 1);
});

const ORDINARY: Policy = {
  lifecycle: 'active',
  sponsored: true,
  observes: undefined,
  granted: true,
  revoked: undefined,
  baselines: [{ ours: true, state: 'approved', notBefore: undefined, notAfter: undefined, demand: 'declared' }],
};

test('as long as sessions are not known, nothing that could cut passes for harmless', () => {
  fc.assert(
    fc.property(policies, policies, (one, other) => {
      const [before, after] = [worldOf(one), worldOf(other)];
      if (impactOf(before, after).ending === 0) return;
      assert.equal(mayCut(objectsOf(before), objectsOf(after)), true);
    }),
    { numRuns: 2_000 },
  );
});
