import './reflect-polyfill.ts';
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign, webcrypto } from 'node:crypto';
import { test } from 'node:test';
import { Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { createCsr, parseCsr } from '../../../src/crypto/csr.ts';
import { generateKeyPair } from '../../../src/crypto/keys.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';

const refused = (der: Uint8Array, message: RegExp): void =>
  assert.throws(
    () => parseCsr(der),
    (error) => isMeshError(error, 'CSR_INVALID') && message.test(error.message),
  );

test('a request comes back as its key', () => {
  const keyPair = generateKeyPair();
  assert.ok(parseCsr(createCsr({ keyPair })).equals(keyPair.publicKey));
});

test('an independent parser accepts our request', async () => {
  const request = new Pkcs10CertificateRequest(createCsr({ keyPair: generateKeyPair() }));
  assert.ok(await request.verify());
  assert.equal(request.subject, '');
});

test('the names another tool put into its request are ignored', async () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=spiffe://acme.example/authority',
    keys: keys as never,
    signingAlgorithm: algorithm,
  });
  const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', keys.publicKey));
  const expected = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  assert.ok(parseCsr(Buffer.from(request.rawData)).equals(expected));
});

test('any changed byte is refused', () => {
  const der = createCsr({ keyPair: generateKeyPair() });
  for (let index = 0; index < der.length; index++) {
    const changed = Buffer.from(der);
    changed[index] = (changed[index] ?? 0) ^ 0x01;
    refused(changed, /refused/);
  }
});

test('another key, curve, kind, size or encoding is refused', () => {
  const [own, other] = [generateKeyPair(), generateKeyPair()];
  refused(createCsr({ keyPair: { publicKey: own.publicKey, privateKey: other.privateKey } }), /own key/);
  const der = createCsr({ keyPair: own });
  refused(Buffer.concat([der, Buffer.from([0])]), /DER/);
  refused(der.subarray(0, -1), /DER/);
  refused(Buffer.alloc(4097, 0x30), /longer than 4096/);
  refused(Buffer.alloc(0), /DER/);
  refused(Buffer.from([0x30, 0x80, 0, 0]), /./);
  // The outer length in a longer form: BER, not DER.
  assert.equal(der[1], 0x81 & (der[1] ?? 0));
  refused(Buffer.concat([Buffer.from([0x30, 0x82, 0x00]), der.subarray(2)]), /DER/);
  for (const { publicKey, privateKey } of [
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
  ]) {
    assert.throws(
      () => createCsr({ keyPair: { publicKey, privateKey } }),
      (error) => isMeshError(error, 'KEY_INVALID'),
    );
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    const info = Buffer.concat([Buffer.from([0x30, spki.length + 7, 2, 1, 0, 0x30, 0]), spki, Buffer.from([0xa0, 0])]);
    const signature = sign('sha256', info, privateKey);
    const body = Buffer.concat([
      info,
      Buffer.from('300a06082a8648ce3d040302', 'hex'),
      Buffer.from([0x03, signature.length + 1, 0]),
      signature,
    ]);
    const length =
      body.length < 128
        ? [body.length]
        : body.length < 256
          ? [0x81, body.length]
          : [0x82, body.length >> 8, body.length & 255];
    if (spki.length + 7 < 128) refused(Buffer.concat([Buffer.from([0x30, ...length]), body]), /EC P-256/);
  }
});
