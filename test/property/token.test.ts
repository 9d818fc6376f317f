import assert from 'node:assert/strict';
import type { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { signAit } from '../../src/crypto/identity-token-signer.ts';
import { createAitVerifier, isVerifiedToken } from '../../src/crypto/identity-token-verifier.ts';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { checkProof, signProof } from '../../src/crypto/proof.ts';
import { checkPeerCertificate } from '../../src/crypto/svid.ts';
import { verifyChain } from '../../src/crypto/chain.ts';
import { readX509 } from '../../src/crypto/certificate-fields.ts';
import { aitClaims, keyIdOf, makeRoot, makeSvid, NOW, proofClaims } from '../unit/crypto/fixture.ts';

const root = makeRoot();
const svid = makeSvid(root.issuer);
const authority = generateKeyPair();
const keyId = keyIdOf(authority);
const compact = await signAit({ claims: aitClaims(svid), key: authority.privateKey, keyId });
const verifier = createAitVerifier({ keyFor: (_iss, kid) => (kid === keyId ? authority.publicKey : undefined) });
const claims = proofClaims();
const { publicKey, privateKey } = svid.keyPair;
const proof = signProof({ claims, key: privateKey });

const flipped = (text: string, bit: number): string => {
  const bytes = Buffer.from(text, 'latin1');
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return bytes.toString('latin1');
};
/** What OpenSSL cannot read never comes out of a handshake. */
const readOrUndefined = (der: Buffer): X509Certificate | undefined => {
  try {
    return readX509(der);
  } catch {
    return undefined;
  }
};
const bitOf = (length: number) => fc.nat({ max: length * 8 - 1 });

test('any one-bit change of a token is refused', async () => {
  assert.ok(isVerifiedToken(await verifier.verify({ compact })));
  await fc.assert(
    fc.asyncProperty(bitOf(compact.length), async (bit) => {
      return !isVerifiedToken(await verifier.verify({ compact: flipped(compact, bit) }));
    }),
    { numRuns: 1000 },
  );
});

test('every one-bit change of a signature is refused, unused bits included', async () => {
  const from = (compact.lastIndexOf('.') + 1) * 8;
  for (let bit = from; bit < compact.length * 8; bit++) {
    const result = await verifier.verify({ compact: flipped(compact, bit) });
    assert.ok(!isVerifiedToken(result), `bit ${bit} of ${compact}`);
  }
});

test('any one-bit change of a proof is refused', () => {
  const accepts = (changed: string): boolean => checkProof({ compact: changed, expected: claims, publicKey }).ok;
  assert.ok(accepts(proof));
  fc.assert(
    fc.property(bitOf(proof.length), (bit) => !accepts(flipped(proof, bit))),
    { numRuns: 1000 },
  );
});

test('any cut of a token or proof is refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: proof.length - 1 }), async (length) => {
      const cut = checkProof({ compact: proof.slice(0, length), expected: claims, publicKey });
      return !cut.ok && !isVerifiedToken(await verifier.verify({ compact: compact.slice(0, length) }));
    }),
  );
});

test('any text at all is answered with a refusal, never an exception', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
      const check = checkProof({ compact: text, expected: claims, publicKey });
      return !check.ok && !isVerifiedToken(await verifier.verify({ compact: text }));
    }),
  );
});

test('any one-bit change of a certificate breaks its chain, and is never an exception', () => {
  const der = svid.certificate.raw;
  assert.ok(verifyChain({ leaf: svid.certificate, roots: [root.certificate], at: NOW }).ok);
  fc.assert(
    fc.property(bitOf(der.length), (bit) => {
      const changed = Buffer.from(flipped(der.toString('latin1'), bit), 'latin1');
      if (!checkPeerCertificate(changed).ok) return true;
      const leaf = readOrUndefined(changed);
      return leaf === undefined || !verifyChain({ leaf, roots: [root.certificate], at: NOW }).ok;
    }),
    { numRuns: 3000 },
  );
});

test('any bytes at all are answered with a refusal by the certificate reader', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => !checkPeerCertificate(bytes).ok));
});
