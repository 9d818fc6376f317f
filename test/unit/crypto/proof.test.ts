import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { generateKeyPair } from '../../../src/crypto/keys.ts';
import { checkProof, signProof } from '../../../src/crypto/proof.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { proofClaims } from './fixture.ts';
import { hostileProofs } from './hostile-tokens.ts';

const [own, stranger] = [generateKeyPair(), generateKeyPair()];
const claims = proofClaims({ seq: 5 });
const { publicKey, privateKey: key } = own;

test('a proof for this turn of this connection is accepted and says what was measured', () => {
  const check = checkProof({ compact: signProof({ claims, key }), expected: claims, publicKey });
  assert.ok(check.ok);
  assert.equal(JSON.stringify(check.claims), JSON.stringify(claims));
});

test('the time in a proof does not count: freshness is our nonce', () => {
  const compact = signProof({ claims: { ...claims, iat: 0 }, key });
  assert.ok(checkProof({ compact, expected: claims, publicKey }).ok);
});

for (const [name, compact] of Object.entries(hostileProofs(claims, own, stranger))) {
  test(`refused: ${name}`, () => {
    const check = checkProof({ compact, expected: claims, publicKey });
    assert.ok(!check.ok, 'the proof was accepted');
    assert.ok(!check.detail.includes('undefined'));
  });
}

test('a certificate of another kind proves nothing', () => {
  const compact = signProof({ claims, key });
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  for (const wrong of [stranger.publicKey, other.publicKey, own.privateKey]) {
    assert.ok(!checkProof({ compact, expected: claims, publicKey: wrong }).ok);
  }
  assert.throws(
    () => signProof({ claims, key: other.privateKey }),
    (error) => isMeshError(error, 'KEY_INVALID'),
  );
});
