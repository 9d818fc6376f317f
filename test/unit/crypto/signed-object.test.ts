import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '../../../src/crypto/keys.ts';
import { readListedObject, signObject, verifyObject } from '../../../src/crypto/signed-object.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { objectDigest } from '../../../src/domain/state-head.ts';
import { encodePart, keyIdOf } from './fixture.ts';
import { signAnything } from './hostile-tokens.ts';

const pair = generateKeyPair();
const keyId = keyIdOf(pair);
const key = pair.privateKey;
const keyFor = (id: string) => (id === keyId ? pair.publicKey : undefined);
const type = 'ait-object+jwt';
const payload = { b: [1, 'ü', null], a: { c: true } };
const compact = signObject({ type, payload, key, keyId });

test('an object comes back, written canonically', () => {
  const check = verifyObject({ compact, type, keyFor });
  assert.ok(check.ok);
  assert.equal(JSON.stringify(check.payload), '{"a":{"c":true},"b":[1,"ü",null]}');
  assert.equal(Buffer.from(compact.split('.')[1] ?? '', 'base64url').toString(), JSON.stringify(check.payload));
});

const good = { alg: 'ES256', typ: type, kid: keyId };
const hostile: Readonly<Record<string, string>> = {
  'a head shown as an object': signObject({ type: 'ait-head+jwt', payload, key, keyId }),
  'a token shown as an object': signAnything({ ...good, typ: 'ait+jwt' }, payload, key),
  'an unknown key': signObject({ type, payload, key, keyId: 'other' }),
  "a stranger's signature": signObject({ type, payload, key: generateKeyPair().privateKey, keyId }),
  'alg none': `${encodePart({ ...good, alg: 'none' })}.${encodePart(payload)}.`,
  'embedded jwk': signAnything({ ...good, jwk: pair.publicKey.export({ format: 'jwk' }) }, payload, key),
  'members out of order': signAnything(good, '{"b":1,"a":2}', key),
  'white space': signAnything(good, '{"a": 2}', key),
  'duplicate members': signAnything(good, '{"a":1,"a":1}', key),
  'changed payload': compact.split('.').with(1, encodePart('{"a":1}')).join('.'),
  'too long': `${compact}${'A'.repeat(1024 * 1024)}`,
};

for (const [name, wrong] of Object.entries(hostile)) {
  test(`refused: ${name}`, () => assert.ok(!verifyObject({ compact: wrong, type, keyFor }).ok));
}

test('an object that a head lists is believed by its digest, whoever signed it', () => {
  const listed = new Set([objectDigest(payload)]);
  for (const jws of [compact, hostile["a stranger's signature"] ?? '']) {
    const read = readListedObject(jws, listed);
    assert.ok(read.ok);
    assert.equal(read.digest, objectDigest(payload));
    assert.equal(JSON.stringify(read.payload), '{"a":{"c":true},"b":[1,"ü",null]}');
  }
});

for (const name of [
  'a head shown as an object',
  'a token shown as an object',
  'alg none',
  'embedded jwk',
  'members out of order',
  'white space',
  'duplicate members',
  'changed payload',
  'too long',
]) {
  test(`refused under a head, too: ${name}`, () => {
    const listed = new Set([objectDigest(payload), objectDigest({ a: 2 }), objectDigest({ a: 2, b: 1 })]);
    assert.ok(!readListedObject(hostile[name] ?? '', listed).ok);
  });
}

test('an object that the head does not list is refused, however well it is signed', () => {
  assert.ok(!readListedObject(compact, new Set()).ok);
});

test('what nobody would accept is not signed', () => {
  for (const wrong of [{ payload: Number.NaN }, { keyId: '../x' }, { payload: 'x'.repeat(1024 * 1024) }]) {
    assert.throws(
      () => signObject({ type, payload, key, keyId, ...wrong }),
      (error) => isMeshError(error, 'TOKEN_UNSIGNABLE'),
    );
  }
});
