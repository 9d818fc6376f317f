import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AIT_CATCH_UP_MS, PeerPermit } from '../../../src/domain/admission.ts';
import type { Measurement } from '../../../src/domain/measurement.ts';
import { parseSpiffeId } from '../../../src/domain/agent-id.ts';
import {
  admissibleWorld,
  admitIn,
  baseline,
  NOW,
  outcomeOf,
  PEER,
  reconsiderIn,
  SELF,
} from '../../support/admission-world.ts';
import { MEASUREMENT } from '../crypto/fixture.ts';

const second: Measurement = { ...MEASUREMENT, model: null };

test('a permit cannot be made by anybody but admission', async () => {
  const verdict = await admitIn(admissibleWorld());
  assert.ok(verdict.admitted);
  const Made = PeerPermit as unknown as new (...input: unknown[]) => PeerPermit;
  assert.throws(() => new Made(Symbol('only admission makes permits'), verdict.permit.standing, {}), TypeError);
  assert.throws(() => new Made(undefined, verdict.permit.standing, {}), TypeError);
});

test('a permit says whom it is for, which instance, and by which baseline', async () => {
  const verdict = await admitIn(admissibleWorld());
  assert.ok(verdict.admitted);
  const { peer, instance, baseline: matched, waived } = verdict.permit;
  assert.deepEqual([peer, instance, matched, waived], [PEER, 'instance-1', 'planner-1', []]);
});

test('the grant goes from the dialler to the acceptor, so that it depends on who called', async () => {
  const dialled = { ...admissibleWorld(), relation: 'dialled' as const, expected: PEER };
  assert.equal(outcomeOf(await admitIn(dialled)), 'GRANT_MISSING');
  assert.equal(outcomeOf(await admitIn({ ...dialled, grants: [{ id: 'g', from: SELF, to: PEER }] })), 'admitted');
});

test('a sidecar that judges itself needs no grant, but everything else', async () => {
  const self = { ...admissibleWorld(), relation: 'self' as const, expected: PEER, grants: [] };
  assert.equal(outcomeOf(await admitIn(self)), 'admitted');
  assert.equal(outcomeOf(await admitIn({ ...self, baselines: [] })), 'BASELINE_MISSING');
  assert.equal(outcomeOf(await admitIn({ ...self, expected: SELF })), 'UNEXPECTED_PEER');
  assert.equal(outcomeOf(await admitIn({ ...self, expected: undefined })), 'UNEXPECTED_PEER');
});

for (const path of ['authority', 'verifier', 'inference/1', 'operator/ada', 'agent', 'else/planner']) {
  test(`spiffe://acme.example/${path} takes no part in an exchange, not even where it is expected`, async () => {
    const id = parseSpiffeId(`spiffe://acme.example/${path}`);
    const world = admissibleWorld();
    world.certificate.spiffeId = id;
    assert.equal(outcomeOf(await admitIn(world)), 'UNEXPECTED_PEER');
    assert.equal(outcomeOf(await admitIn({ ...world, relation: 'dialled', expected: id })), 'UNEXPECTED_PEER');
  });
}

test('the leeway for clocks is 30 seconds, to the millisecond, and both times are told', async () => {
  const at = async (now: number) => admitIn({ ...admissibleWorld(), now, stateEnds: Infinity });
  const { nbf, exp } = admissibleWorld().claims;
  assert.equal(outcomeOf(await at(nbf * 1000 - 30_000)), 'admitted');
  assert.equal(outcomeOf(await at(nbf * 1000 - 30_001)), 'AIT_NOT_YET_VALID');
  assert.equal(outcomeOf(await at(exp * 1000 + 29_999)), 'admitted');
  const late = await at(exp * 1000 + 30_000);
  assert.equal(outcomeOf(late), 'AIT_EXPIRED');
  assert.ok(!late.admitted);
  assert.deepEqual(late.rejection.clocks, {
    ours: exp * 1000 + 30_000,
    theirs: exp * 1000,
    what: 'end of the token (exp)',
  });
});

for (const [kind, subject] of [
  ['agent', PEER],
  ['instance', 'instance-1'],
  ['certificate', 'T'.repeat(43)],
] as const) {
  test(`a revoked ${kind} is refused, and cut where it is admitted already`, async () => {
    const first = await admitIn(admissibleWorld());
    assert.ok(first.admitted);
    const world = { ...admissibleWorld(), revocations: [{ id: 'r', kind, subject, reason: 'stolen' }] };
    assert.equal(outcomeOf(await admitIn(world)), 'REVOKED');
    assert.equal(outcomeOf(reconsiderIn(world, first.permit)), 'REVOKED');
  });
}

for (const [name, agent] of Object.entries({
  suspended: { id: PEER, lifecycle: 'suspended', sponsor: 'u' },
  retired: { id: PEER, lifecycle: 'retired', sponsor: 'u' },
  'without a sponsor': { id: PEER, lifecycle: 'active' },
  'with an empty sponsor': { id: PEER, lifecycle: 'active', sponsor: '' },
} as const)) {
  test(`an agent that is ${name} is not admitted`, async () => {
    assert.equal(outcomeOf(await admitIn({ ...admissibleWorld(), agent })), 'AGENT_NOT_ACTIVE');
  });
}

test('a token may lag behind a measurement that is approved for ten seconds, not more, and not anew each time', async () => {
  const first = await admitIn(admissibleWorld());
  assert.ok(first.admitted);
  const world = {
    ...admissibleWorld(),
    proofMeasurement: second,
    baselines: [baseline('1'), baseline('2', { digests: second })],
  };
  const early = reconsiderIn(world, first.permit, 1000);
  assert.ok(early.admitted);
  const later = reconsiderIn(world, early.permit, 1000 + AIT_CATCH_UP_MS);
  assert.ok(later.admitted);
  assert.equal(outcomeOf(reconsiderIn(world, later.permit, 1001 + AIT_CATCH_UP_MS)), 'AIT_STALE');
  const caughtUp = reconsiderIn({ ...world, tokenMeasurement: second }, later.permit, 5 * AIT_CATCH_UP_MS);
  assert.ok(caughtUp.admitted);
  assert.equal(caughtUp.permit.standing.tokenLagsSince, undefined);
});

test('a measurement that is not approved is drift at once, however fresh the token', async () => {
  const first = await admitIn(admissibleWorld());
  assert.ok(first.admitted);
  assert.equal(
    outcomeOf(reconsiderIn({ ...admissibleWorld(), proofMeasurement: second }, first.permit)),
    'MODEL_DRIFT',
  );
});

test('a certificate that ended while the session was open ends it', async () => {
  const world = admissibleWorld();
  const first = await admitIn(world);
  assert.ok(first.admitted);
  world.now = first.permit.standing.certificate.notAfter;
  world.stateEnds = Infinity;
  world.claims.exp = world.now / 1000 + 60;
  assert.equal(outcomeOf(reconsiderIn(world, first.permit)), 'CERTIFICATE_EXPIRED');
});

test('a renewed token for another instance, subject or certificate is refused', async () => {
  const first = await admitIn(admissibleWorld());
  assert.ok(first.admitted);
  const [other, elsewhere] = [admissibleWorld(), admissibleWorld()];
  other.claims.agent = { ...other.claims.agent, instance: 'another' };
  elsewhere.claims.cnf = { ...elsewhere.claims.cnf, 'x5t#S256': 'U'.repeat(43) };
  assert.equal(outcomeOf(reconsiderIn(other, first.permit)), 'AIT_SUBJECT_MISMATCH');
  assert.equal(outcomeOf(reconsiderIn(elsewhere, first.permit)), 'AIT_BINDING_MISMATCH');
});

test('observe mode ends at its end, and what it waived is on record', async () => {
  const world = { ...admissibleWorld(), grants: [], proofMeasurement: second, tokenMeasurement: second };
  const until = (observeUntil: number) =>
    admitIn({ ...world, agent: { id: PEER, lifecycle: 'active', sponsor: 'u', observeUntil } });
  const observed = await until(NOW + 1);
  assert.ok(observed.admitted);
  assert.deepEqual(
    observed.permit.waived.map(({ code }) => code),
    ['MODEL_DRIFT', 'GRANT_MISSING'],
  );
  assert.equal(observed.permit.baseline, undefined);
  assert.equal(outcomeOf(await until(NOW)), 'MODEL_DRIFT');
});

test('an AIT key or a root that leaves the bundle ends what hangs on it, and nothing else', async () => {
  const world = admissibleWorld();
  const verdict = await admitIn(world);
  assert.ok(verdict.admitted);
  const again = (change: Partial<typeof world>) => outcomeOf(reconsiderIn({ ...world, ...change }, verdict.permit));
  assert.equal(again({ trustedAitKeys: ['k', 'next'], trustedRoots: ['R', 'next'] }), 'admitted', 'something came');
  assert.equal(again({ trustedAitKeys: ['next'] }), 'TRUST_WITHDRAWN');
  assert.equal(again({ trustedRoots: ['next'] }), 'TRUST_WITHDRAWN');
  assert.equal(again({ trustedAitKeys: [], trustedRoots: [] }), 'TRUST_WITHDRAWN', 'no bundle, no trust');
  // The state comes first: by one that has ended nobody can say what is trusted.
  assert.equal(again({ trustedRoots: [], stateEnds: NOW }), 'STATE_STALE');
  // A certificate of which no root was known stays without one.
  const orphan = { ...admissibleWorld(), certificate: { ...world.certificate, issuer: '' } };
  const unvouched = await admitIn(orphan);
  assert.ok(unvouched.admitted);
  assert.equal(outcomeOf(reconsiderIn(orphan, unvouched.permit)), 'TRUST_WITHDRAWN');
});

test('tools that a peer was seen with count for more than those it measures, for that very instance', async () => {
  const { tools } = MEASUREMENT;
  const other = {
    canonicalization: 'ait-json-1' as const,
    tools: { ...tools?.tools, added: tools?.tools['search'] ?? 'sha256:' },
  };
  for (const seen of [other, null]) {
    const world = { ...admissibleWorld(), toolsSeen: new Map([['instance-1', seen]]) };
    assert.equal(outcomeOf(await admitIn(world)), 'TOOLS_DRIFT');
    const before = await admitIn(admissibleWorld());
    assert.ok(before.admitted);
    const judged = reconsiderIn(world, before.permit);
    assert.equal(outcomeOf(judged), 'TOOLS_DRIFT');
    world.agent = { ...world.agent, observeUntil: NOW + 1 } as typeof world.agent;
    assert.equal(outcomeOf(reconsiderIn(world, before.permit)), 'admitted', 'observe mode waives it');
  }
  const elsewhere = { ...admissibleWorld(), toolsSeen: new Map([['instance-2', other]]) };
  assert.equal(outcomeOf(await admitIn(elsewhere)), 'admitted');
  const approved = { ...admissibleWorld(), toolsSeen: new Map([['instance-1', other]]) };
  approved.baselines = [baseline('planner-2', { digests: { ...MEASUREMENT, tools: other } })];
  assert.equal(outcomeOf(await admitIn(approved)), 'admitted', 'what was seen may be what is approved next');
});
