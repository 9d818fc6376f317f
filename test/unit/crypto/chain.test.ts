import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { assertRoot, issuerOf, verifyChain } from '../../../src/crypto/chain.ts';
import { checkPeerCertificate } from '../../../src/crypto/svid.ts';
import { issueSvid, openIssuer } from '../../../src/crypto/x509-issuer.ts';
import { parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { collectGarbage } from '../../support/collect-garbage.ts';
import { ACME, HOUR, makeRoot, makeSvid, nextSerial, NOW, PLANNER, privatePem } from './fixture.ts';
import { oddCertificate } from './odd-certificate.ts';

const acme = makeRoot();
const evil = makeRoot('evil.example');
const svid = makeSvid(acme.issuer);

function refused(question: Parameters<typeof verifyChain>[0], detail: RegExp): void {
  const check = verifyChain(question);
  assert.ok(!check.ok, 'the chain was accepted');
  assert.match(check.detail, detail);
}

test('an SVID of our root is accepted, again and again', () => {
  for (let turn = 0; turn < 3; turn++) {
    const check = verifyChain({ leaf: svid.certificate, roots: [evil.certificate, acme.certificate], at: NOW });
    assert.ok(check.ok);
    assert.equal(check.identity.spiffeId, PLANNER);
    assert.equal(check.root, acme.certificate);
  }
});

test('without roots nothing is accepted', () => refused({ leaf: svid.certificate, roots: [], at: NOW }, /no root/));

test("another domain's root cannot mint our names, even when it is trusted for its own", () => {
  const leaf = makeSvid(evil.issuer, { spiffeId: PLANNER }).certificate;
  refused({ leaf, roots: [evil.certificate], at: NOW }, /no root of the trust domain acme/);
  refused({ leaf, roots: [evil.certificate, acme.certificate], at: NOW }, /no root .* issued/);
});

test('another root with the same names is refused', () => {
  refused({ leaf: svid.certificate, roots: [makeRoot().certificate], at: NOW }, /no root .* issued/);
});

test('dates are looked at on every call, remembered or not, and both times are told', () => {
  const ask = (at: number) => ({ leaf: svid.certificate, roots: [acme.certificate], at });
  assert.ok(verifyChain(ask(NOW)).ok);
  assert.ok(verifyChain(ask(NOW + HOUR)).ok);
  refused(ask(NOW + HOUR + 1), /until 2026-11-01T01:00:00.000Z, our clock says 2026-11-01T01:00:00.001Z/);
  refused(ask(NOW - HOUR - 1), /valid from 2026-10-31T23:00:00.000Z/);
  refused(ask(Number.NaN), /our clock says NaN/);
  assert.ok(verifyChain(ask(NOW)).ok);
});

/** A function of its own: what a test that awaits has touched itself stays alive with it. */
function remembered(leaf: X509Certificate): WeakRef<object> {
  assert.ok(verifyChain({ leaf, roots: [acme.certificate], at: NOW }).ok);
  const check = checkPeerCertificate(leaf);
  assert.ok(check.ok);
  return new WeakRef(check.identity);
}

test('a certificate is remembered until it has ended, and no longer', async () => {
  const short = Array.from({ length: 20 }, () => makeSvid(acme.issuer, { notAfter: NOW + 10_000 }).certificate);
  const read = [...short, svid.certificate].map(remembered);
  const held = () => read.filter((identity) => identity.deref() !== undefined).length;
  const verifyAnother = (at: number) => {
    const leaf = makeSvid(acme.issuer).certificate;
    assert.ok(verifyChain({ leaf, roots: [acme.certificate], at }).ok);
  };
  verifyAnother(NOW + 10_000);
  await collectGarbage();
  assert.equal(held(), 21, 'they are valid to the last millisecond');

  // Who issued it is asked without a date, which says nothing about the others.
  const unrelated = makeSvid(acme.issuer, { notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR }).certificate;
  assert.ok(issuerOf({ leaf: unrelated, roots: [acme.certificate] }));
  await collectGarbage();
  assert.equal(held(), 21);

  verifyAnother(NOW + 10_001);
  await collectGarbage();
  assert.equal(held(), 1, 'what has ended is still remembered');
  assert.deepEqual(checkPeerCertificate(svid.certificate), { ok: true, identity: read.at(-1)?.deref() });

  // A clock that was ahead for a moment costs another verification, and nothing more.
  verifyAnother(NOW + HOUR);
  for (const leaf of short) assert.ok(verifyChain({ leaf, roots: [acme.certificate], at: NOW }).ok);
  for (const leaf of short) assert.ok(!verifyChain({ leaf, roots: [acme.certificate], at: NOW + 10_001 }).ok);
});

test('an expired root takes its certificates with it', () => {
  const short = makeRoot(ACME, { notAfter: NOW + HOUR });
  const leaf = makeSvid(short.issuer, { notAfter: NOW + HOUR }).certificate;
  const late = makeRoot(ACME, { notBefore: NOW + HOUR });
  refused({ leaf: makeSvid(late.issuer).certificate, roots: [late.certificate], at: NOW }, /the root is valid from/);
  refused({ leaf, roots: [short.certificate], at: NOW + HOUR + 1 }, /was valid until/);
});

test('a leaf is no authority, whether it is trusted by mistake or says so itself', () => {
  const leafIssuer = { ...acme.issuer, certPem: svid.pem, privateKey: svid.keyPair.privateKey };
  const child = makeSvid({ ...leafIssuer, name: Buffer.from('3000', 'hex') }).certificate;
  refused({ leaf: child, roots: [svid.certificate], at: NOW }, /no root/);
  refused({ leaf: child, roots: [acme.certificate], at: NOW }, /issued/);
  assert.throws(() => openIssuer({ certPem: svid.pem, keyPem: privatePem(svid) }), /not a root/);
  refused({ leaf: oddCertificate(acme.issuer, { ca: true }), roots: [acme.certificate], at: NOW }, /authority/);
});

test('a self-signed SVID is refused', () => {
  const own = { ...acme.issuer, privateKey: svid.keyPair.privateKey };
  const pem = issueSvid({
    issuer: own,
    publicKey: svid.keyPair.publicKey,
    spiffeId: PLANNER,
    notBefore: NOW - HOUR,
    notAfter: NOW + HOUR,
    serial: nextSerial(),
  });
  refused({ leaf: new X509Certificate(pem), roots: [acme.certificate], at: NOW }, /issued/);
});

test('a root is trusted only under its own name', () => {
  assertRoot(acme.certificate, ACME);
  assert.throws(() => assertRoot(acme.certificate, parseTrustDomain('evil.example')), /of the trust domain acme/);
  assert.throws(() => assertRoot(svid.certificate, ACME), /not a root/);
});
