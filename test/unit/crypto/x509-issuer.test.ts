import './reflect-polyfill.ts';
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import {
  BasicConstraintsExtension,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from '@peculiar/x509';
import { createRoot, issueSvid, openIssuer } from '../../../src/crypto/x509-issuer.ts';
import { readCertificateFields } from '../../../src/crypto/certificate-fields.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { ACME, HOUR, makeRoot, makeSvid, nextSerial, NOW, PLANNER } from './fixture.ts';

const { issuer, certificate: root, pem } = makeRoot();

test('a root is read by an independent parser as X.509-SVID section 4 wants it', () => {
  const other = new X509Certificate(pem);
  const constraints = other.getExtension(BasicConstraintsExtension);
  assert.deepEqual([constraints?.ca, constraints?.pathLength, constraints?.critical], [true, 0, true]);
  const usage = other.getExtension(KeyUsagesExtension);
  assert.deepEqual([usage?.usages, usage?.critical], [0x20 | 0x40, true]);
  assert.deepEqual(other.getExtension(SubjectAlternativeNameExtension)?.names.toJSON(), [
    { type: 'url', value: 'spiffe://acme.example' },
  ]);
  assert.equal(other.subject, 'CN=acme.example test root');
  assert.ok(root.ca && root.checkIssued(root) && root.verify(root.publicKey));
});

test('an SVID is read by an independent parser as X.509-SVID section 4 wants it', () => {
  const { pem: svid, certificate } = makeSvid(issuer);
  const other = new X509Certificate(svid);
  const constraints = other.getExtension(BasicConstraintsExtension);
  assert.deepEqual([constraints?.ca, constraints?.pathLength, constraints?.critical], [false, undefined, true]);
  const usage = other.getExtension(KeyUsagesExtension);
  assert.deepEqual([usage?.usages, usage?.critical], [1, true]);
  const names = other.getExtension(SubjectAlternativeNameExtension);
  assert.deepEqual(names?.names.toJSON(), [{ type: 'url', value: PLANNER }]);
  assert.equal(names?.critical, true, 'the subject is empty, so the SAN is critical (RFC 5280 section 4.2.1.6)');
  assert.equal(other.subject, '');
  assert.equal(other.issuer, 'CN=acme.example test root');
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.ok(certificate.checkIssued(root) && certificate.verify(root.publicKey));
  assert.equal(other.notBefore.getTime(), NOW - HOUR);
  assert.equal(other.notAfter.getTime(), NOW + HOUR);
});

test('serial numbers are positive and keep all their bits', () => {
  const { publicKey } = makeSvid(issuer).keyPair;
  const base = { issuer, publicKey, spiffeId: PLANNER, notBefore: NOW, notAfter: NOW + HOUR };
  for (const [serial, expected] of [
    [Buffer.alloc(16, 0xff), 'ff'.repeat(16)],
    [Buffer.from('00000000000000000000000000000080', 'hex'), '80'],
    [Buffer.from('007f0000000000000000000000000001', 'hex'), '7f0000000000000000000000000001'],
  ] as const) {
    const certificate = new X509Certificate(issueSvid({ ...base, serial }));
    assert.equal(certificate.serialNumber.replace(/^00/, ''), expected);
  }
  for (const serial of [Buffer.alloc(16), Buffer.alloc(15, 1), Buffer.alloc(17, 1)]) {
    assert.throws(
      () => issueSvid({ ...base, serial }),
      (error) => isMeshError(error, 'CERTIFICATE_INVALID'),
    );
  }
});

test('dates beyond 2049 are written as GeneralizedTime and read back', () => {
  const edges = [Date.UTC(2049, 11, 31, 23, 59, 59), Date.UTC(2050, 0, 1), Date.UTC(9999, 11, 31, 23, 59, 59)];
  for (const notAfter of edges) {
    const { pem: late } = makeRoot(ACME, { notAfter });
    assert.equal(new X509Certificate(late).notAfter.getTime(), notAfter);
    const der = Buffer.from(new X509Certificate(late).rawData);
    assert.equal(readCertificateFields(der).notAfter, notAfter);
    assert.equal(der.includes(Buffer.from([0x18, 0x0f])), notAfter >= edges[1]!);
  }
  assert.throws(() => makeRoot(ACME, { notAfter: Date.UTC(10_000, 0, 1) }), /between 1970 and 9999/);
});

test('what would be no valid certificate is not issued', () => {
  const { publicKey } = makeSvid(issuer).keyPair;
  const base = { issuer, publicKey, spiffeId: PLANNER, notBefore: NOW, notAfter: NOW + HOUR, serial: nextSerial() };
  const refused = (change: object, code: 'CERTIFICATE_INVALID' | 'KEY_INVALID'): void =>
    assert.throws(
      () => issueSvid({ ...base, ...change }),
      (error) => isMeshError(error, code),
    );
  refused({ notAfter: NOW }, 'CERTIFICATE_INVALID');
  refused({ notAfter: Number.NaN }, 'CERTIFICATE_INVALID');
  refused({ notAfter: issuer.notAfter + 1000 }, 'CERTIFICATE_INVALID');
  refused({ publicKey: generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey }, 'KEY_INVALID');
  refused({ publicKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey }, 'KEY_INVALID');
  refused({ publicKey: makeSvid(issuer).keyPair.privateKey }, 'KEY_INVALID');
});

test('a root opens only with its own key, and an SVID never as a root', () => {
  const dates = { notBefore: NOW, notAfter: NOW + HOUR };
  const [a, b] = [0, 1].map(() => createRoot({ trustDomain: ACME, commonName: 'root', ...dates })) as [
    ReturnType<typeof createRoot>,
    ReturnType<typeof createRoot>,
  ];
  assert.throws(() => openIssuer({ certPem: a.certPem, keyPem: b.keyPem }), /do not belong together/);
  const svid = makeSvid(issuer);
  const keyPem = svid.keyPair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  assert.throws(() => openIssuer({ certPem: svid.pem, keyPem }), /not a root/);
});
