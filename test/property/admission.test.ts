import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSpiffeId, type SpiffeId, type TrustDomain } from '../../src/domain/agent-id.ts';
import type { Measurement } from '../../src/domain/measurement.ts';
import { REJECTIONS, REJECTION_CODES, type RejectionCode } from '../../src/domain/rejection.ts';
import { MEASUREMENT } from '../unit/crypto/fixture.ts';
import {
  admissibleWorld,
  admitIn,
  baseline,
  NOW,
  outcomeOf,
  PEER,
  reconsiderIn,
  type World,
} from '../support/admission-world.ts';

const OTHER = parseSpiffeId('spiffe://acme.example/agent/other');
const drifted: Measurement = {
  ...MEASUREMENT,
  tools: { canonicalization: 'ait-json-1', tools: {}, assurance: 'in_use' },
};

/** One way for each check to fail, in the documented order. What a later one breaks an earlier one must not see. */
const FAULTS: readonly (readonly [code: RejectionCode, break_: (world: World) => void])[] = [
  ['UNEXPECTED_PEER', (world) => ([world.relation, world.expected] = ['dialled', OTHER])],
  ['TRUST_DOMAIN_NOT_ACCEPTED', (world) => world.accepted.clear()],
  ['STATE_MISSING', (world) => (world.stateMissing = true)],
  ['STATE_STALE', (world) => (world.stateEnds = world.now)],
  ['AIT_MALFORMED', (world) => (world.tokenRefused = 'AIT_MALFORMED')],
  ['AIT_AUDIENCE_MISMATCH', (world) => (world.claims.aud = ['other.example' as TrustDomain])],
  ['AIT_NOT_YET_VALID', (world) => (world.claims.nbf = world.now / 1000 + 31)],
  ['AIT_EXPIRED', (world) => (world.claims.exp = world.now / 1000 - 30)],
  ['AIT_SUBJECT_MISMATCH', (world) => (world.claims.sub = OTHER)],
  ['AIT_ISSUER_UNKNOWN', (world) => (world.claims.iss = 'spiffe://other.example')],
  ['AIT_SUBJECT_MISMATCH', (world) => (world.instance = 'another')],
  ['AIT_BINDING_MISMATCH', (world) => (world.claims.cnf = { ...world.claims.cnf, 'x5t#S256': 'U'.repeat(43) })],
  ['PROOF_INVALID', (world) => (world.proofRefused = true)],
  ['PROOF_MEASUREMENT_MISMATCH', (world) => (world.tokenMeasurement = { ...world.tokenMeasurement, model: null })],
  ['REVOKED', (world) => world.revocations.push({ id: 'r', kind: 'agent', subject: PEER, reason: 'test' })],
  ['AGENT_UNKNOWN', (world) => (world.agent = undefined)],
  ['AGENT_NOT_ACTIVE', (world) => world.agent && (world.agent.lifecycle = 'suspended')],
  ['BASELINE_MISSING', (world) => (world.baselines = [])],
  [
    'SYSTEM_PROMPT_DRIFT',
    (world) => world.baselines.forEach((each) => (each.digests = { ...each.digests, system_prompt: null })),
  ],
  ['TOOLS_DRIFT', (world) => world.baselines.forEach((each) => (each.digests = { ...each.digests, tools: null }))],
  [
    'ASSURANCE_TOO_LOW',
    (world) =>
      world.baselines.forEach((each) => (each.minimumAssurance = { ...each.minimumAssurance, model: 'attested' })),
  ],
  ['GRANT_MISSING', (world) => (world.grants = [])],
];

const someFaults = fc.uniqueArray(fc.nat({ max: FAULTS.length - 1 }), { minLength: 1 });

/** From the last to the first, so that a fault finds what it breaks as the faults before it expect it. */
function breakAll(world: World, chosen: readonly number[]): World {
  for (const index of chosen.toSorted((a, b) => b - a)) FAULTS[index]?.[1](world);
  return world;
}

test('an untouched candidate is admitted: what is refused below is refused for its fault', async () => {
  assert.equal(outcomeOf(await admitIn(admissibleWorld())), 'admitted');
});

for (const [index, [code]] of FAULTS.entries()) {
  test(`a single fault is refused under its own name: ${code} (${index})`, async () => {
    assert.equal(outcomeOf(await admitIn(breakAll(admissibleWorld(), [index]))), code);
  });
}

test('of any combination of faults the first in the documented order is the reason', async () => {
  await fc.assert(
    fc.asyncProperty(someFaults, async (chosen) => {
      const first = FAULTS[Math.min(...chosen)]?.[0];
      assert.equal(outcomeOf(await admitIn(breakAll(admissibleWorld(), chosen))), first);
    }),
    { numRuns: 500 },
  );
});

test('the order of the checks is the order of the table of rejections', () => {
  const admission = REJECTION_CODES.filter((code) => REJECTIONS[code].phase === 'admission');
  const places = FAULTS.map(([code]) => admission.indexOf(code)).filter((place) => place >= 0);
  // The issuer speaks twice: of a key nobody knows, and of a domain that is not the subject's.
  const once = places.filter(
    (place, index) => admission[place] !== 'AIT_ISSUER_UNKNOWN' && places.indexOf(place) === index,
  );
  assert.deepEqual(
    once,
    once.toSorted((a, b) => a - b),
  );
});

/** Every text on which admission depends, by where it stands. */
const FIELDS: Record<string, [read: (world: World) => string, write: (world: World, text: string) => void]> = {
  'certificate.spiffeId': [(w) => w.certificate.spiffeId, (w, text) => (w.certificate.spiffeId = text as SpiffeId)],
  'certificate.thumbprint': [(w) => w.certificate.thumbprint, (w, text) => (w.certificate.thumbprint = text)],
  instance: [(w) => w.instance, (w, text) => (w.instance = text)],
  'token.iss': [(w) => w.claims.iss, (w, text) => (w.claims.iss = text)],
  'token.sub': [(w) => w.claims.sub, (w, text) => (w.claims.sub = text as SpiffeId)],
  'token.aud': [(w) => w.claims.aud[0] ?? '', (w, text) => (w.claims.aud = [text as TrustDomain])],
  'token.cnf': [(w) => w.claims.cnf['x5t#S256'], (w, text) => (w.claims.cnf = { ...w.claims.cnf, 'x5t#S256': text })],
  'token.agent.instance': [
    (w) => w.claims.agent.instance,
    (w, text) => (w.claims.agent = { ...w.claims.agent, instance: text }),
  ],
  'grant.from': [
    (w) => w.grants[0]?.from ?? '',
    (w, text) => (w.grants = w.grants.map((grant) => ({ ...grant, from: text as SpiffeId }))),
  ],
  'grant.to': [
    (w) => w.grants[0]?.to ?? '',
    (w, text) => (w.grants = w.grants.map((grant) => ({ ...grant, to: text as SpiffeId }))),
  ],
};

function flipBit(text: string, bit: number): string {
  const bytes = Buffer.from(text, 'latin1');
  const at = (bit >> 3) % bytes.length;
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (bit & 7)), at);
  return bytes.toString('latin1');
}

test('any one bit changed in any one identifier is refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...Object.keys(FIELDS)), fc.nat({ max: 4096 }), async (name, bit) => {
      const world = admissibleWorld();
      const [read, write] = FIELDS[name] ?? [() => '', () => undefined];
      write(world, flipBit(read(world), bit));
      assert.notEqual(outcomeOf(await admitIn(world)), 'admitted', name);
    }),
    { numRuns: 500 },
  );
});

/** The paths of all texts of a measurement but its assurances, which have an order and are judged by it. */
function paths(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value === 'string') return path.at(-1) === 'assurance' ? [] : [[...path]];
  return Object.entries(value as object).flatMap(([name, member]) => paths(member, [...path, name]));
}

function withBitFlipped(measurement: Measurement, path: readonly string[], bit: number): Measurement {
  const copy = structuredClone(measurement) as unknown as Record<string, unknown>;
  const last = path.at(-1) ?? '';
  const parent = path.slice(0, -1).reduce((node, name) => node[name] as Record<string, unknown>, copy);
  parent[last] = flipBit(String(parent[last]), bit);
  return copy as unknown as Measurement;
}

test('any one bit changed in a measurement is drift in both token and proof, and a mismatch in one of them', async () => {
  const everywhere = fc.constantFrom(...paths(MEASUREMENT));
  await fc.assert(
    fc.asyncProperty(everywhere, fc.nat({ max: 4096 }), async (path, bit) => {
      const changed = withBitFlipped(MEASUREMENT, path, bit);
      const outcome = async (world: Partial<World>) => outcomeOf(await admitIn({ ...admissibleWorld(), ...world }));
      assert.match(await outcome({ tokenMeasurement: changed, proofMeasurement: changed }), /_DRIFT$/, path.join('.'));
      assert.equal(await outcome({ proofMeasurement: changed }), 'PROOF_MEASUREMENT_MISMATCH');
      assert.equal(await outcome({ tokenMeasurement: changed }), 'PROOF_MEASUREMENT_MISMATCH');
    }),
    { numRuns: 500 },
  );
});

test('no time but the right one admits: token, state and baseline, to the millisecond', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: -7_200_000, max: 7_200_000 }), async (offset) => {
      const world = admissibleWorld();
      world.now = NOW + offset;
      world.baselines = [baseline('b', { notBefore: NOW - 20_000, notAfter: NOW + 20_000 })];
      const valid = offset >= -20_000 && offset < 20_000;
      assert.equal(outcomeOf(await admitIn(world)) === 'admitted', valid);
    }),
    { numRuns: 300 },
  );
});

test('an empty state admits nobody, whatever the candidate brings', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('dialled', 'accepted', 'self'), fc.boolean(), async (relation, missing) => {
      const world = admissibleWorld();
      Object.assign(world, {
        relation,
        expected: PEER,
        stateMissing: missing,
        agent: undefined,
        baselines: [],
        grants: [],
      });
      assert.equal(outcomeOf(await admitIn(world)), missing ? 'STATE_MISSING' : 'AGENT_UNKNOWN');
    }),
  );
});

/** What may come to be wrong with a session that is open; identity on its connection cannot change. */
const LIVE = FAULTS.flatMap(([code], index) =>
  [
    'UNEXPECTED_PEER',
    'TRUST_DOMAIN_NOT_ACCEPTED',
    'AIT_MALFORMED',
    'AIT_ISSUER_UNKNOWN',
    'PROOF_INVALID',
    'PROOF_MEASUREMENT_MISMATCH',
  ].includes(code)
    ? []
    : [index],
).filter((index) => index !== FAULTS.findIndex(([code]) => code === 'AIT_SUBJECT_MISMATCH') + 2);

test('reconsider admits nothing that admit would refuse, and names the same reason', async () => {
  await fc.assert(
    fc.asyncProperty(fc.subarray(LIVE), async (chosen) => {
      const first = await admitIn(admissibleWorld());
      assert.ok(first.admitted);
      const world = breakAll(admissibleWorld(), chosen);
      const [fresh, again] = [outcomeOf(await admitIn(world)), outcomeOf(reconsiderIn(world, first.permit))];
      assert.equal(again, fresh);
    }),
    { numRuns: 300 },
  );
});

test('observe mode waives drift and grants, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(someFaults, async (chosen) => {
      const world = admissibleWorld();
      if (world.agent) world.agent.observeUntil = NOW + 1;
      const waived = (code: RejectionCode | undefined) => code === 'GRANT_MISSING' || code?.endsWith('_DRIFT') === true;
      breakAll(world, chosen);
      // Without a baseline or an agent nothing can drift; with drift nobody asks for assurance.
      const drifts = chosen.some((index) => FAULTS[index]?.[0].endsWith('_DRIFT') === true);
      const left = chosen.toSorted((a, b) => a - b).map((index) => FAULTS[index]?.[0]);
      const expected = left.find((code) => !waived(code) && !(code === 'ASSURANCE_TOO_LOW' && drifts)) ?? 'admitted';
      assert.equal(outcomeOf(await admitIn(world)), expected);
    }),
    { numRuns: 500 },
  );
});

test('a retired baseline keeps an open session and admits no new one', async () => {
  const first = await admitIn(admissibleWorld());
  assert.ok(first.admitted);
  const world = { ...admissibleWorld(), baselines: [baseline('planner-1', { state: 'retired' })] };
  assert.equal(outcomeOf(await admitIn(world)), 'BASELINE_MISSING');
  assert.equal(outcomeOf(reconsiderIn(world, first.permit)), 'admitted');
  const revoked = { ...admissibleWorld(), baselines: [baseline('planner-1', { state: 'revoked' })] };
  assert.equal(outcomeOf(reconsiderIn(revoked, first.permit)), 'BASELINE_MISSING');
  assert.match(outcomeOf(reconsiderIn({ ...world, proofMeasurement: drifted }, first.permit)), /_DRIFT$/);
});
