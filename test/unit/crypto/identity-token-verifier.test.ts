import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { signAit } from '../../../src/crypto/identity-token-signer.ts';
import { createAitVerifier, isVerifiedToken } from '../../../src/crypto/identity-token-verifier.ts';
import { generateKeyPair, sha256Base64Url } from '../../../src/crypto/keys.ts';
import { sha256Digest } from '../../../src/domain/canonical/digest.ts';
import { sameMeasurement } from '../../../src/domain/measurement.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { aitClaims, keyIdOf, makeRoot, makeSvid, MEASUREMENT, NOW } from './fixture.ts';
import { hostileAits, signAnything } from './hostile-tokens.ts';

const svid = makeSvid(makeRoot().issuer);
const [authority, stranger] = [generateKeyPair(), generateKeyPair()];
const keyId = keyIdOf(authority);
const claims = aitClaims(svid);
const keyFor = (issuer: string, kid: string): KeyObject | undefined =>
  issuer === 'spiffe://acme.example' && kid === keyId ? authority.publicKey : undefined;
const compact = await signAit({ claims, key: authority.privateKey, keyId });

test('a token comes back as it was signed, with its hash and key', async () => {
  const result = await createAitVerifier({ keyFor }).verify({ compact });
  assert.ok(isVerifiedToken(result), JSON.stringify(result));
  assert.ok(sameMeasurement(result.claims.agent.measurement, MEASUREMENT));
  assert.equal(JSON.stringify(result.claims), JSON.stringify(claims));
  assert.deepEqual([result.keyId, result.hash], [keyId, sha256Base64Url(compact)]);
  const header = JSON.parse(Buffer.from(compact.split('.')[0] ?? '', 'base64url').toString()) as object;
  assert.deepEqual(header, { alg: 'ES256', typ: 'ait+jwt', kid: keyId });
});

test('claims on the top level that we do not know are ignored, as RFC 7519 section 4 asks', async () => {
  const [header = '', payload = ''] = compact.split('.').map((part) => Buffer.from(part, 'base64url').toString());
  const longer = signAnything(header, payload.replace('{', '{"txn":"1",'), authority.privateKey);
  const result = await createAitVerifier({ keyFor }).verify({ compact: longer });
  assert.ok(isVerifiedToken(result));
  assert.ok(!('txn' in result.claims));
});

for (const [name, [hostile, code]] of Object.entries(hostileAits(claims, authority, keyId, stranger))) {
  test(`refused as ${code}: ${name}`, async () => {
    const result = await createAitVerifier({ keyFor }).verify({ compact: hostile });
    assert.ok(!isVerifiedToken(result), 'the token was accepted');
    assert.equal(result.code, code, result.detail);
  });
}

test('a key of another kind under the right id is refused', async () => {
  const wrong = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
  for (const key of [wrong, authority.privateKey]) {
    const result = await createAitVerifier({ keyFor: () => key }).verify({ compact });
    assert.ok(!isVerifiedToken(result) && result.code === 'AIT_ISSUER_UNKNOWN');
  }
});

test('only successes are remembered, at most as many as allowed, until the bundle changes', async () => {
  let lookups = 0;
  let key: KeyObject | undefined = authority.publicKey;
  const verifier = createAitVerifier({ keyFor: () => (lookups++, key), maxCached: 2 });
  const first = await verifier.verify({ compact });
  assert.equal(await verifier.verify({ compact }), first);
  assert.equal(verifier.verifyCached({ compact }), first);
  assert.equal(lookups, 1);
  const forged = `${compact.slice(0, compact.lastIndexOf('.'))}.${'A'.repeat(86)}`;
  for (let turn = 0; turn < 5; turn++) assert.ok(!isVerifiedToken(await verifier.verify({ compact: forged })));
  assert.equal(lookups, 6);
  assert.equal(verifier.verifyCached({ compact }), first, 'forgeries pushed out a good token');
  for (const jti of ['a', 'b']) {
    await verifier.verify({ compact: await signAit({ claims: { ...claims, jti }, key: authority.privateKey, keyId }) });
  }
  assert.equal(verifier.verifyCached({ compact }), undefined, 'more than two were kept');
  await verifier.verify({ compact });
  verifier.flush();
  key = undefined;
  assert.equal(verifier.verifyCached({ compact }), undefined);
  assert.ok(!isVerifiedToken(await verifier.verify({ compact })));
});

test('a token is remembered until a newer one says that it has ended', async () => {
  const verifier = createAitVerifier({ keyFor });
  const tokenOf = (iat: number, exp: number) =>
    signAit({ claims: { ...claims, iat, nbf: iat, exp }, key: authority.privateKey, keyId });
  const { iat } = claims;
  const [early, late, next] = await Promise.all([
    tokenOf(iat, iat + 10),
    tokenOf(iat, iat + 11),
    tokenOf(iat + 10, iat + 60),
  ]);
  for (const token of [early, late, next]) assert.ok(isVerifiedToken(await verifier.verify({ compact: token })));
  assert.ok(verifier.verifyCached({ compact: early }), 'it is valid to the last second');

  // Whoever can make no token cannot have others forgotten.
  const after = await tokenOf(iat + 11, iat + 60);
  const forged = `${after.slice(0, after.lastIndexOf('.'))}.${'A'.repeat(86)}`;
  assert.ok(!isVerifiedToken(await verifier.verify({ compact: forged })));
  assert.ok(verifier.verifyCached({ compact: early }));

  await verifier.verify({ compact: after });
  assert.equal(verifier.verifyCached({ compact: early }), undefined);
  for (const token of [late, next, after]) assert.ok(verifier.verifyCached({ compact: token }));
  assert.ok(isVerifiedToken(await verifier.verify({ compact: early })), 'what is forgotten is verified anew');
});

test('a key that is withdrawn while its signature is being checked does not count', async () => {
  let key: KeyObject | undefined = authority.publicKey;
  const verifier = createAitVerifier({ keyFor: () => key });
  const pending = verifier.verify({ compact });
  key = undefined;
  verifier.flush();
  const result = await pending;
  assert.ok(!isVerifiedToken(result) && result.code === 'AIT_ISSUER_UNKNOWN');
  assert.equal(verifier.verifyCached({ compact }), undefined);
});

test('what nobody would accept is not signed', async () => {
  const tools = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`tool ${index}`, sha256Digest('x')]));
  const crowded = { ...MEASUREMENT, tools: { ...MEASUREMENT.tools!, tools } };
  for (const wrong of [
    { ...claims, exp: NOW },
    { ...claims, exp: claims.nbf },
    { ...claims, aud: [] },
    { ...claims, iss: 'spiffe://evil.example' },
    { ...claims, agent: { ...claims.agent, measurement: crowded } },
  ]) {
    await assert.rejects(signAit({ claims: wrong, key: authority.privateKey, keyId }), (error) =>
      isMeshError(error, 'TOKEN_UNSIGNABLE'),
    );
  }
  await assert.rejects(signAit({ claims, key: authority.privateKey, keyId: '../x' }), /key id/);
  await assert.rejects(signAit({ claims, key: authority.publicKey, keyId }), /private EC P-256/);
});
