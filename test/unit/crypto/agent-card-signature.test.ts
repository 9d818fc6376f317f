import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { checkCardSignatures, readCardKeys, type CardKeys } from '../../../src/crypto/agent-card-signature.ts';
import { readCardSignatures, signedForms } from '../../../src/domain/a2a/card-signature.ts';
import { canonicalizeJson } from '../../../src/domain/canonical/jcs.ts';
import { parseStrictJson, type JsonObject } from '../../../src/domain/canonical/strict-json.ts';

const CARD = { name: 'researcher', url: 'http://researcher.mesh/a2a', skills: [], version: '1', description: '' };
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

const json = (value: object) => parseStrictJson(JSON.stringify(value)) as JsonObject;
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid });
const keysOf = (...keys: object[]) => readCardKeys(json({ keys }));
const KEYS = keysOf(jwk(ec.publicKey, 'k1'));

interface Signing {
  readonly key?: KeyObject;
  readonly header?: object;
  readonly payload?: string;
  readonly hash?: string | null;
}

function signature({ key = ec.privateKey, header = {}, payload, hash = 'sha256' }: Signing = {}) {
  const protectedHeader = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'JOSE', kid: 'k1', ...header }));
  const encoded = protectedHeader.toString('base64url');
  const form = payload ?? canonicalizeJson(json(CARD));
  const input = Buffer.from(`${encoded}.${Buffer.from(form).toString('base64url')}`);
  const bytes = sign(hash, input, { key, dsaEncoding: 'ieee-p1363' });
  return { protected: encoded, signature: bytes.toString('base64url') };
}

function check(signatures: readonly object[], { card = CARD, keys = KEYS }: { card?: object; keys?: CardKeys } = {}) {
  const signed = json({ ...card, signatures });
  const result = checkCardSignatures(readCardSignatures(signed), { forms: signedForms(signed), keys });
  return result.ok ? result.keyId : result.why;
}

test('a signature over the card as it is holds, and so does one over it without what is empty', () => {
  assert.equal(check([signature()]), 'k1');
  const { skills: _, description: __, ...bare } = CARD;
  assert.equal(check([signature({ payload: canonicalizeJson(json(bare)) })]), 'k1');
});

test('the order of members, white space and the unprotected header are no part of it', () => {
  const { name, ...rest } = CARD;
  assert.equal(check([{ ...signature(), header: { kid: 'other' } }], { card: { ...rest, name } }), 'k1');
});

test('a card that is changed in any way is not the one that was signed', () => {
  for (const change of [
    { url: 'http://researcher.mesh/a2a2' },
    { name: 'Researcher' },
    { skills: [{ id: 'x' }] },
    { extra: true },
    { version: 1 },
    { provider: { url: 'x' } },
  ]) {
    assert.equal(check([signature()], { card: { ...CARD, ...change } }), 'invalid', JSON.stringify(change));
  }
});

test('every key that can sign is taken with its own algorithm, and with no other', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ed = generateKeyPairSync('ed25519');
  const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  const cases = [
    { alg: 'RS256', pair: rsa, hash: 'sha256' },
    { alg: 'EdDSA', pair: ed, hash: null },
    { alg: 'Ed25519', pair: ed, hash: null },
    { alg: 'ES384', pair: p384, hash: 'sha384' },
  ];
  for (const { alg, pair, hash } of cases) {
    const keys = keysOf(jwk(pair.publicKey, 'k1'));
    const made = signature({ key: pair.privateKey, header: { alg }, hash });
    assert.equal(check([made], { keys }), 'k1', alg);
    const lying = { ...made, protected: signature({ header: { alg: 'ES256' } }).protected };
    assert.equal(check([lying], { keys }), 'invalid', alg);
  }
});

test('none, HMAC with the public key, and algorithms that nobody knows are no signatures', () => {
  const pem = ec.publicKey.export({ format: 'pem', type: 'spki' });
  for (const alg of ['none', 'HS256', 'ES256K', 'es256', 'RSA1_5']) {
    const { protected: header } = signature({ header: { alg } });
    const payload = Buffer.from(canonicalizeJson(json(CARD))).toString('base64url');
    const mac = createHmac('sha256', pem).update(`${header}.${payload}`).digest('base64url');
    assert.equal(check([{ protected: header, signature: mac }]), 'invalid', alg);
  }
});

test('a header that changes how to read it, or cannot be read, spoils the card', () => {
  for (const header of [
    { crit: ['b64'], b64: false },
    { b64: false },
    { zip: 'DEF' },
    { kid: 7 },
    { alg: undefined },
  ]) {
    assert.equal(check([signature({ header })]), 'invalid', JSON.stringify(header));
  }
  const { signature: bytes } = signature();
  const twice = Buffer.from('{"alg":"none","alg":"ES256","kid":"k1"}').toString('base64url');
  for (const bad of [twice, 'eyJ', 'AAAA', Buffer.from('[]').toString('base64url')]) {
    assert.equal(check([{ protected: bad, signature: bytes }]), 'invalid', bad);
  }
});

test('keys come from the configuration alone, whatever a header offers', () => {
  const header = { kid: 'k2', jwk: jwk(other.publicKey, 'k2'), jku: 'http://127.0.0.1:1/keys' };
  assert.equal(check([signature({ key: other.privateKey, header })]), 'unknown_key');
  assert.equal(check([signature({ key: other.privateKey, header: { ...header, kid: 'k1' } })]), 'invalid');
});

test('of several signatures each by a known key must hold, and one must be by a known key', () => {
  const foreign = signature({ key: other.privateKey, header: { kid: 'elsewhere' } });
  const forged = signature({ key: other.privateKey });
  assert.equal(check([foreign, signature()]), 'k1');
  assert.equal(check([foreign]), 'unknown_key');
  assert.equal(check([signature(), forged]), 'invalid');
  assert.equal(check([forged, signature()]), 'invalid');
});

test('a signature in a second spelling of its bytes is none', () => {
  const made = signature();
  assert.throws(() => check([{ ...made, signature: `${made.signature}=` }]), /signature/);
  const last = made.signature.at(-1) ?? '';
  const twin = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const sibling = twin[twin.indexOf(last) + 1] ?? 'B';
  assert.equal(check([{ ...made, signature: made.signature.slice(0, -1) + sibling }]), 'invalid');
});

test('signatures that are no list of them are refused as a whole', () => {
  for (const signatures of [
    [],
    [{}],
    ['x'],
    [{ ...signature(), extra: 1 }],
    Array.from({ length: 9 }, () => signature()),
  ]) {
    assert.throws(() => check(signatures as object[]), /signatures/);
  }
});

test('a file of keys has public keys only, each with an id of its own, none too weak', () => {
  const good = jwk(ec.publicKey, 'k1');
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const bad: object[][] = [
    [],
    [good, good],
    [{ ...good, kid: undefined }],
    [jwk(ec.privateKey, 'k1')],
    [{ kty: 'oct', k: 'AAAA', kid: 'k1' }],
    [{ kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA', kid: 'k1' }],
    [jwk(weak.publicKey, 'k1')],
    [jwk(k256.publicKey, 'k1')],
    [{ kid: 'k1' }],
  ];
  for (const keys of bad) assert.throws(() => keysOf(...keys), /jwks/, JSON.stringify(keys).slice(0, 80));
  assert.throws(() => readCardKeys(json({ keys: [good], more: 1 })), /jwks/);
});
