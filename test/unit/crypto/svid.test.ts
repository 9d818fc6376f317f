import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { octetString, sequence } from '../../../src/crypto/asn1.ts';
import { OID } from '../../../src/crypto/certificate-fields.ts';
import { sha256Base64Url } from '../../../src/crypto/keys.ts';
import { checkPeerCertificate, readSvid } from '../../../src/crypto/svid.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { HOUR, makeRoot, makeSvid, NOW, PLANNER } from './fixture.ts';
import { dns, extension, oddCertificate, uri } from './odd-certificate.ts';
import type { Oddity } from './odd-certificate.ts';

const { issuer, certificate: root } = makeRoot();

test('an SVID tells whose it is, as an object and as DER, fresh and remembered', () => {
  const { certificate, keyPair } = makeSvid(issuer);
  for (const input of [certificate, certificate.raw, certificate]) {
    const check = checkPeerCertificate(input);
    assert.ok(check.ok);
    const { publicKey, ...rest } = check.identity;
    assert.ok(publicKey.equals(keyPair.publicKey));
    assert.deepEqual(rest, {
      spiffeId: PLANNER,
      thumbprint: sha256Base64Url(certificate.raw),
      notBefore: NOW - HOUR,
      notAfter: NOW + HOUR,
    });
  }
});

test('a name of another kind beside the one URI does no harm (X.509-SVID section 2)', () => {
  const check = checkPeerCertificate(oddCertificate(issuer, { names: [dns('planner'), uri(PLANNER)] }));
  assert.equal(check.ok && check.identity.spiffeId, PLANNER);
});

const usages = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 };
const hostile: Readonly<Record<string, readonly [Oddity, RegExp]>> = {
  'two URI SANs': [{ names: [uri(PLANNER), uri('spiffe://acme.example/agent/other')] }, /2 URI names/],
  'the same URI SAN twice': [{ names: [uri(PLANNER), uri(PLANNER)] }, /2 URI names/],
  'no SAN': [{ names: undefined }, /0 URI names/],
  'an empty SAN': [{ names: [] }, /0 URI names/],
  'only a DNS name': [{ names: [dns('planner.acme.example')] }, /0 URI names/],
  'the SPIFFE ID as a DNS name': [{ names: [dns(PLANNER)] }, /0 URI names/],
  'the SPIFFE ID as common name only': [{ names: undefined, commonName: PLANNER }, /0 URI names/],
  'a NUL in the SAN': [{ names: [uri(`${PLANNER}\0.evil.example`)] }, /not a SPIFFE ID/],
  'a comma in the SAN': [{ names: [uri('spiffe://evil.example/x, URI:spiffe://acme.example/agent/planner')] }, /not a/],
  'a quoted SAN': [{ names: [uri(`"${PLANNER}"`)] }, /not a SPIFFE ID/],
  'a line feed at the end of the SAN': [{ names: [uri(`${PLANNER}\n`)] }, /not a SPIFFE ID/],
  'a comma in a DNS name': [{ names: [dns(`x, URI:${PLANNER}`)] }, /0 URI names/],
  'another scheme': [{ names: [uri('https://acme.example/agent/planner')] }, /not a SPIFFE ID/],
  'upper case in the trust domain': [{ names: [uri('spiffe://ACME.example/agent/planner')] }, /not a SPIFFE ID/],
  'no path': [{ names: [uri('spiffe://acme.example')] }, /not a SPIFFE ID/],
  'no extended key usage': [{ purposes: [] }, /purpose/],
  'server only': [{ purposes: [OID.serverAuth] }, /purpose/],
  'client only': [{ purposes: [OID.clientAuth] }, /purpose/],
  'code signing': [{ purposes: ['1.3.6.1.5.5.7.3.3'] }, /purpose/],
  'any purpose': [{ purposes: ['2.5.29.37.0'] }, /purpose/],
  'a CA': [{ ca: true }, /certificate authority/],
  'the right to sign certificates': [{ keyUsage: usages.digitalSignature | usages.keyCertSign }, /allows to issue/],
  'the right to sign CRLs': [{ keyUsage: usages.digitalSignature | usages.cRLSign }, /allows to issue/],
  'no digital signatures': [{ keyUsage: 0x08 }, /digital signatures/],
  'P-384': [{ publicKey: generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey }, /P-256/],
  RSA: [{ publicKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey }, /P-256/],
  Ed25519: [{ publicKey: generateKeyPairSync('ed25519').publicKey }, /P-256/],
  'a second SAN extension': [{ extra: [extension(OID.subjectAltName, sequence(uri(PLANNER)), false)] }, /twice/],
  'an unknown critical extension': [
    { extra: [extension('1.3.6.1.4.1.99999.1', octetString(Buffer.of(1)), true)] },
    /not understood/,
  ],
};

for (const [what, [oddity, detail]] of Object.entries(hostile)) {
  test(`refused: ${what}`, () => {
    const check = checkPeerCertificate(oddCertificate(issuer, oddity));
    assert.ok(!check.ok, 'the certificate was accepted');
    assert.match(check.detail, detail);
  });
}

test('a root is no SVID', () => assert.ok(!checkPeerCertificate(root).ok));

test('bytes that are no certificate are refused, and thrown at when they are our own', () => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('x'),
    Buffer.alloc(9000, 0x30),
    makeSvid(issuer).certificate.raw.subarray(1),
  ]) {
    assert.ok(!checkPeerCertificate(bytes).ok);
    assert.throws(
      () => readSvid(bytes),
      (error) => isMeshError(error, 'CERTIFICATE_INVALID'),
    );
  }
});
