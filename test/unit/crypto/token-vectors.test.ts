import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createAitVerifier, isVerifiedToken } from '../../../src/crypto/identity-token-verifier.ts';
import { importJwk } from '../../../src/crypto/keys.ts';
import { checkProof } from '../../../src/crypto/proof.ts';
import type { ExpectedProof } from '../../../src/crypto/proof.ts';

interface Vector {
  readonly name: string;
  readonly compact: string;
}
interface Jwk {
  readonly x: string;
  readonly y: string;
}
interface AitVectors {
  readonly key: { readonly iss: string; readonly kid: string; readonly jwk: Jwk };
  readonly accepted: readonly (Vector & { readonly claims: unknown })[];
  readonly refused: readonly (Vector & { readonly code: string })[];
}
interface ProofVectors {
  readonly key: Jwk;
  readonly accepted: readonly (Vector & { readonly expected: ExpectedProof; readonly claims: unknown })[];
  readonly expected: ExpectedProof;
  readonly refused: readonly Vector[];
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8'));
/** Values, not prototypes: maps by name have none. */
const same = (actual: unknown, expected: unknown): void =>
  assert.deepEqual(JSON.parse(JSON.stringify(actual)) as unknown, expected);

const ait = read('ait') as AitVectors;
const aitKey = importJwk(ait.key.jwk);
const verifier = createAitVerifier({
  keyFor: (iss, kid) => (iss === ait.key.iss && kid === ait.key.kid ? aitKey : undefined),
});

for (const { name, compact, claims } of ait.accepted) {
  test(`ait.json accepts: ${name}`, async () => {
    const result = await verifier.verify({ compact });
    assert.ok(isVerifiedToken(result), JSON.stringify(result));
    same(result.claims, claims);
  });
}

test('ait.json has its mutations', () => assert.ok(ait.refused.length > 100));
for (const { name, compact, code } of ait.refused) {
  test(`ait.json refuses with ${code}: ${name}`, async () => {
    const result = await verifier.verify({ compact });
    assert.equal(isVerifiedToken(result) ? 'accepted' : result.code, code);
  });
}

const proof = read('proof') as ProofVectors;
const proofKey = importJwk(proof.key);

for (const { name, compact, expected, claims } of proof.accepted) {
  test(`proof.json accepts: ${name}`, () => {
    const check = checkProof({ compact, expected, publicKey: proofKey });
    assert.ok(check.ok, JSON.stringify(check));
    same(check.claims, claims);
  });
}

test('proof.json has its mutations', () => assert.ok(proof.refused.length > 30));
for (const { name, compact } of proof.refused) {
  test(`proof.json refuses: ${name}`, () => {
    assert.ok(!checkProof({ compact, expected: proof.expected, publicKey: proofKey }).ok);
  });
}
