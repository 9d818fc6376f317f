import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportJwk, generateKeyPair } from '../../../src/crypto/keys.ts';
import {
  parseTrustBundle,
  rootCertificates,
  trustBundleDigest,
  trustBundleToJson,
} from '../../../src/crypto/trust-bundle.ts';
import type { PublishedKey, TrustBundle } from '../../../src/crypto/trust-bundle.ts';
import { parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { ACME, keyIdOf, makeRoot, makeSvid } from './fixture.ts';

const published = (): PublishedKey => {
  const pair = generateKeyPair();
  const { kty, crv, x, y } = exportJwk(pair.publicKey);
  return { kid: keyIdOf(pair), jwk: { kty, crv, x, y } };
};
const [root, next] = [makeRoot(), makeRoot()];
const bundle: TrustBundle = {
  trustDomain: ACME,
  roots: [root.pem, next.pem],
  aitKeys: [published()],
  stateKeys: [published(), published()],
  sequence: 7,
  refreshHintSeconds: 300,
};
const text = trustBundleToJson(bundle);
type Json = { keys: Record<string, unknown>[] } & Record<string, unknown>;
const changed = (change: (json: Json) => void): string => {
  const json = JSON.parse(text) as Json;
  change(json);
  return JSON.stringify(json);
};
const invalid = (error: unknown): boolean => isMeshError(error, 'TRUST_BUNDLE_INVALID');

test('a bundle survives writing and reading', () => {
  assert.deepEqual(parseTrustBundle(text, ACME), bundle);
  assert.ok(rootCertificates(bundle)[1]?.raw.equals(next.certificate.raw));
});

test('its X.509 part is the SPIFFE bundle format (section 4.2)', () => {
  const { keys, ...rest } = JSON.parse(text) as Json;
  assert.deepEqual(rest, { spiffe_sequence: 7, spiffe_refresh_hint: 300 });
  const roots = keys.filter(({ use }) => use === 'x509-svid');
  assert.deepEqual(
    roots.map(({ x5c }) => x5c),
    [root, next].map(({ certificate }) => [certificate.raw.toString('base64')]),
  );
  assert.ok(roots.every((key) => !('kid' in key)));
});

test('the digest follows the content', () => {
  assert.equal(trustBundleDigest(bundle), trustBundleDigest(parseTrustBundle(text, ACME)));
  assert.notEqual(trustBundleDigest(bundle), trustBundleDigest({ ...bundle, sequence: 8 }));
});

test('a bundle without roots, AIT keys or state keys is neither written nor read', () => {
  for (const part of ['roots', 'aitKeys', 'stateKeys']) {
    assert.throws(() => trustBundleToJson({ ...bundle, [part]: [] }), invalid);
  }
  for (const use of ['x509-svid', 'ait-token', 'ait-state']) {
    const without = changed((json) => (json.keys = json.keys.filter((key) => key['use'] !== use)));
    assert.throws(() => parseTrustBundle(without, ACME), invalid);
  }
});

const svid = makeSvid(root.issuer);
const hostile: Readonly<Record<string, string>> = {
  'no JSON': 'x',
  'duplicate member': text.replace('{', '{"keys":[],'),
  'too long': ' '.repeat(300_000),
  'unknown member': changed((json) => (json['extra'] = 1)),
  'unknown use': changed((json) => (json.keys[0]!['use'] = 'jwt-svid')),
  'no use': changed((json) => delete json.keys[0]!['use']),
  'private key': changed((json) => (json.keys[2]!['d'] = 'A'.repeat(43))),
  'point that is not on the curve': changed((json) => (json.keys[2]!['x'] = json.keys[3]!['x'])),
  'kid with a path': changed((json) => (json.keys[2]!['kid'] = '../x')),
  'two keys under one id': changed((json) => (json.keys[2]!['kid'] = json.keys[3]!['kid'])),
  'an AIT key that also signs state': changed((json) =>
    json.keys.push({ ...json.keys[2], use: 'ait-state', kid: 'other' }),
  ),
  'a key beside another certificate': changed((json) => (json.keys[0]!['x5c'] = json.keys[1]!['x5c'])),
  'two certificates in one key': changed(
    (json) => (json.keys[0]!['x5c'] = [...(json.keys[0]!['x5c'] as []), ...(json.keys[1]!['x5c'] as [])]),
  ),
  'a leaf as root': changed((json) => {
    const { x, y } = exportJwk(svid.keyPair.publicKey);
    Object.assign(json.keys[0]!, { x, y, x5c: [svid.certificate.raw.toString('base64')] });
  }),
  'sequence as text': changed((json) => (json['spiffe_sequence'] = '7')),
  'no refresh': changed((json) => (json['spiffe_refresh_hint'] = 0)),
};

for (const [name, wrong] of Object.entries(hostile)) {
  test(`refused: ${name}`, () => assert.throws(() => parseTrustBundle(wrong, ACME), invalid));
}

test('a root of another domain is refused', () => {
  assert.throws(() => parseTrustBundle(text, parseTrustDomain('evil.example')), invalid);
  assert.throws(() => trustBundleToJson({ ...bundle, roots: [makeRoot('evil.example').pem] }), invalid);
});
