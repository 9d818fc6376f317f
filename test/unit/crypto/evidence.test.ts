import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import { checkEvidence } from '../../../src/crypto/evidence.ts';
import { generateKeyPair } from '../../../src/crypto/keys.ts';
import { createSimulatedRoot, readSimulatedRoot } from '../../../src/crypto/simulated-hardware.ts';
import { sha256Digest } from '../../../src/domain/canonical/digest.ts';
import type { RejectionCode } from '../../../src/domain/rejection.ts';
import { evidenceWorld, makeHardware } from '../../support/evidence-world.ts';
import { HOUR, makeRoot, makeSvid, NOW } from './fixture.ts';

const world = evidenceWorld(NOW);
const { expected, claims, root, hardware } = world;
const x5c = hardware.chain.map((der) => der.toString('base64'));
const HEADER = { alg: 'ES256', typ: 'ait-evidence+jwt', x5c };

/** Signed by the right key, whatever it says. */
function signRaw(header: object | string, payload: object | string, key = hardware.privateKey): string {
  const parts = [header, payload].map((part) =>
    Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url'),
  );
  const signature = sign('sha256', Buffer.from(parts.join('.')), { key, dsaEncoding: 'ieee-p1363' });
  return [...parts, signature.toString('base64url')].join('.');
}

function refusalOf(compact: string, changes: Partial<typeof expected> = {}): RejectionCode | 'accepted' {
  const checked = checkEvidence(compact, { ...expected, ...changes });
  return checked.ok ? 'accepted' : checked.rejection.code;
}

test('evidence that is in order is accepted, and its claims are told', () => {
  assert.deepEqual(checkEvidence(world.sign(), expected), { ok: true, claims });
  assert.equal(refusalOf(signRaw(HEADER, claims)), 'accepted');
});

const { measurement: _, ...withoutMeasurement } = claims;
const MALFORMED: readonly [string, string][] = [
  ['nothing', ''],
  ['two parts', 'a.b'],
  ['another typ', signRaw({ ...HEADER, typ: 'ait+jwt' }, claims)],
  ['no typ', signRaw({ alg: 'ES256', x5c }, claims)],
  ['alg none', signRaw({ ...HEADER, alg: 'none' }, claims)],
  ['alg HS256', signRaw({ ...HEADER, alg: 'HS256' }, claims)],
  ['crit', signRaw({ ...HEADER, crit: ['exp'] }, claims)],
  ['kid', signRaw({ ...HEADER, kid: 'k' }, claims)],
  ['jwk', signRaw({ ...HEADER, jwk: {} }, claims)],
  ['no chain', signRaw({ alg: 'ES256', typ: HEADER.typ }, claims)],
  ['an empty chain', signRaw({ ...HEADER, x5c: [] }, claims)],
  ['a chain in base64url', signRaw({ ...HEADER, x5c: x5c.map((each) => each.replace(/.$/, '-')) }, claims)],
  ['a header member twice', signRaw(JSON.stringify(HEADER).replace('{', '{"alg":"ES256",'), claims)],
  ['a claim twice', signRaw(HEADER, JSON.stringify(claims).replace('{', '{"iat":1,'))],
  ['a claim too many', signRaw(HEADER, { ...claims, debug: false })],
  ['a claim too few', signRaw(HEADER, withoutMeasurement)],
  ['an unknown form', signRaw(HEADER, { ...claims, format: 'ait-sim-2' })],
  ['a form that is an inherited member', signRaw(HEADER, { ...claims, format: 'constructor' })],
  ['a form that is no text', signRaw(HEADER, { ...claims, format: 1 })],
  ['not simulated', signRaw(HEADER, { ...claims, simulated: false })],
  ['a measurement in upper case', signRaw(HEADER, { ...claims, measurement: claims.measurement.toUpperCase() })],
  ['a nonce of 31 bytes', signRaw(HEADER, { ...claims, nonce: Buffer.alloc(31).toString('base64url') })],
  ['no model', signRaw(HEADER, { ...claims, models: [] })],
  ['a model twice', signRaw(HEADER, { ...claims, models: ['a', 'a'] })],
  ['a time that is a text', signRaw(HEADER, { ...claims, iat: '1' })],
  ['a time with a fraction', signRaw(HEADER, { ...claims, iat: 1.5 })],
  ['claims that are a list', signRaw(HEADER, [claims])],
  ['more than may be', signRaw(HEADER, { ...claims, models: ['a'.repeat(40_000)] })],
];
for (const [name, compact] of MALFORMED) {
  test(`malformed: ${name}`, () => assert.equal(refusalOf(compact), 'EVIDENCE_MALFORMED'));
}

const foreign = evidenceWorld(NOW + 1000);
const ended = readSimulatedRoot(createSimulatedRoot({ notBefore: NOW - 3 * HOUR, notAfter: NOW - HOUR }));
const meshRoot = makeRoot();
const meshSvid = makeSvid(meshRoot.issuer);
const [leaf, rootDer] = hardware.chain as [Buffer, Buffer];
const pinned = (...ders: readonly Uint8Array[]) => ({
  service: { ...expected.service, evidenceRoots: ders.map((der) => sha256Digest(der)) },
});
const signedBy = (chain: readonly Buffer[], key = hardware.privateKey) =>
  signRaw({ ...HEADER, x5c: chain.map((der) => der.toString('base64')) }, claims, key);
const UNTRUSTED: readonly [string, string, Partial<typeof expected>?][] = [
  ['a root that nobody approved', foreign.sign(claims)],
  ['another key than in the certificate', signRaw(HEADER, claims, generateKeyPair().privateKey)],
  [
    'a leaf of another root before the approved one',
    signedBy([foreign.hardware.chain[0]!, rootDer], foreign.hardware.privateKey),
  ],
  ['the leaf alone', signedBy([leaf])],
  ['the root alone, signing itself', signedBy([rootDer], root.privateKey)],
  ['the root as its own leaf', signedBy([rootDer, rootDer], root.privateKey)],
  ['a certificate too many', signedBy([leaf, rootDer, rootDer])],
  ['root before leaf', signedBy([rootDer, leaf]), pinned(leaf)],
  ['a byte after the leaf', signedBy([Buffer.concat([leaf, Buffer.from([0])]), rootDer])],
  ['a leaf approved as if it were a root', signedBy([leaf, leaf]), pinned(leaf)],
  [
    'a root that does not say SIMULATED',
    signedBy([meshSvid.certificate.raw, meshRoot.certificate.raw], meshSvid.keyPair.privateKey),
    pinned(meshRoot.certificate.raw),
  ],
  [
    'a root that has ended',
    signedBy([makeHardware({ ...ended, notAfter: NOW + HOUR }, NOW).chain[0]!, ended.certificateDer]),
    pinned(ended.certificateDer),
  ],
  ['a hardware key that has ended', world.sign(), { now: NOW + 2 * HOUR }],
  ['a hardware key that is not valid yet', world.sign(), { now: NOW - HOUR / 2 - HOUR }],
  ['no approved root at all', world.sign(), { service: { ...expected.service, evidenceRoots: [] } }],
  ['a clock that is no number', world.sign(), { now: Number.NaN }],
];
for (const [name, compact, changes] of UNTRUSTED) {
  test(`not trusted: ${name}`, () => assert.equal(refusalOf(compact, changes), 'EVIDENCE_NOT_TRUSTED'));
}

const other = sha256Digest('other');
const REFUSED: readonly [string, RejectionCode, string, Partial<typeof expected>?][] = [
  ['the nonce of somebody else', 'EVIDENCE_STALE', world.sign({ nonce: Buffer.alloc(32).toString('base64url') })],
  ['61 s old', 'EVIDENCE_STALE', world.sign({ iat: NOW / 1000 - 61 })],
  ['31 s ahead', 'EVIDENCE_STALE', world.sign({ iat: NOW / 1000 + 31 })],
  ['further ahead than any clock', 'EVIDENCE_STALE', world.sign({ iat: Number.MAX_SAFE_INTEGER })],
  ['another TLS key', 'EVIDENCE_KEY_MISMATCH', world.sign({ tls_key: other })],
  ['another measurement', 'EVIDENCE_MEASUREMENT_UNKNOWN', world.sign({ measurement: other })],
  [
    'no approved measurement at all',
    'EVIDENCE_MEASUREMENT_UNKNOWN',
    world.sign(),
    { service: { ...expected.service, measurements: [] } },
  ],
  [
    'simulated where that does not count',
    'EVIDENCE_SIMULATED',
    world.sign(),
    { service: { ...expected.service, acceptSimulatedEvidence: false } },
  ],
];
for (const [name, code, compact, changes] of REFUSED) {
  test(`${code}: ${name}`, () => assert.equal(refusalOf(compact, changes), code));
}

test('as old and as far ahead as it may be, evidence is accepted', () => {
  assert.equal(refusalOf(world.sign({ iat: NOW / 1000 - 60 })), 'accepted');
  assert.equal(refusalOf(world.sign({ iat: NOW / 1000 + 30 })), 'accepted');
});

test('where it hangs on time, the refusal has both clocks', () => {
  const stale = checkEvidence(world.sign({ iat: NOW / 1000 - 61 }), expected);
  assert.ok(!stale.ok);
  assert.deepEqual(stale.rejection.clocks, { ours: NOW, theirs: NOW - 61_000, what: 'time of the evidence' });
  const late = checkEvidence(world.sign(), { ...expected, now: NOW + 2 * HOUR });
  assert.ok(!late.ok);
  assert.equal(late.rejection.clocks?.ours, NOW + 2 * HOUR);
});
