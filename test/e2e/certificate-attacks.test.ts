import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { OID } from '../../src/crypto/certificate-fields.ts';
import { createRoot, openIssuer } from '../../src/crypto/x509-issuer.ts';
import { parseTrustDomain } from '../../src/domain/agent-id.ts';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched } from '../support/attacks.ts';
import { Forger, type Identity } from '../support/forgery.ts';
import { startMesh } from '../support/mesh.ts';
import { dns, uri } from '../unit/crypto/odd-certificate.ts';

const HOUR = 3_600_000;
const PLANNER = 'spiffe://acme.example/agent/planner';

test('trust rule 9: a certificate that is not an SVID of a member gets no further than the TLS port, and the reason is on record', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const { forger } = attacker;
  const planner = attacker.member('planner');
  const { measurement } = planner;
  const now = Date.now();
  const stranger = (domain: string) => {
    const dates = { notBefore: now - HOUR, notAfter: now + 100 * HOUR };
    const { certPem, keyPem } = createRoot({
      trustDomain: parseTrustDomain(domain),
      commonName: 'another root',
      ...dates,
    });
    return new Forger({ root_certificate: certPem, root_key: keyPem });
  };
  const [evil, twin] = [stranger('evil.example'), stranger('acme.example')];
  const selfKeys = generateKeyPair();
  const selfSigner = {
    ...openIssuer({
      certPem: twin.rootPem,
      keyPem: twin.issuer.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    }),
    privateKey: selfKeys.privateKey,
  };
  const leafAsCa = { ...forger.issuer, name: Buffer.from('3000', 'hex'), privateKey: planner.keyPair.privateKey };

  const refused: Record<string, [identity: Identity | undefined, code: string, detail: RegExp]> = {
    'none at all': [undefined, 'TLS_HANDSHAKE_FAILED', /PEER_DID_NOT_RETURN_A_CERTIFICATE/i],
    expired: [
      forger.identity({ spiffeId: PLANNER, measurement, notBefore: now - HOUR, notAfter: now - 1000 }),
      'TLS_HANDSHAKE_FAILED',
      /CERT_HAS_EXPIRED/,
    ],
    'not yet valid': [
      forger.identity({ spiffeId: PLANNER, measurement, notBefore: now + HOUR / 2, notAfter: now + HOUR }),
      'TLS_HANDSHAKE_FAILED',
      /CERT_NOT_YET_VALID/,
    ],
    'self-signed': [
      forger.withCertificate(planner, { keyPair: selfKeys }, selfSigner),
      'TLS_HANDSHAKE_FAILED',
      /UNABLE_TO|SELF_SIGNED|DEPTH_ZERO/,
    ],
    'of a root with the same name and another key': [
      twin.identity({ spiffeId: PLANNER, measurement }),
      'TLS_HANDSHAKE_FAILED',
      /UNABLE_TO|SIGNATURE/,
    ],
    'of another trust domain, under its own root': [
      evil.identity({ spiffeId: 'spiffe://evil.example/agent/planner', measurement }),
      'TLS_HANDSHAKE_FAILED',
      /UNABLE_TO/,
    ],
    'signed by a leaf': [
      forger.withCertificate(planner, {}, leafAsCa),
      'TLS_HANDSHAKE_FAILED',
      /UNABLE_TO|INVALID_CA|SIGNATURE|SELF_SIGNED/,
    ],
    'for servers only': [
      forger.withCertificate(planner, { purposes: [OID.serverAuth] }),
      'TLS_HANDSHAKE_FAILED',
      /INVALID_PURPOSE|unsuitable/i,
    ],
    'for clients only': [forger.withCertificate(planner, { purposes: [OID.clientAuth] }), 'PEER_ID_INVALID', /purpose/],
    'for another purpose': [
      forger.withCertificate(planner, { purposes: ['1.3.6.1.5.5.7.3.3'] }),
      'TLS_HANDSHAKE_FAILED',
      /INVALID_PURPOSE|unsuitable/i,
    ],
    'that may sign certificates': [forger.withCertificate(planner, { keyUsage: 0x84 }), 'PEER_ID_INVALID', /issue/],
    'that is a CA': [forger.withCertificate(planner, { ca: true }), 'PEER_ID_INVALID', /authority/],
    'with two URI names': [
      forger.withCertificate(planner, { names: [uri(PLANNER), uri(`${PLANNER}2`)] }),
      'PEER_ID_INVALID',
      /2 URI names/,
    ],
    'without a URI name': [forger.withCertificate(planner, { names: [] }), 'PEER_ID_INVALID', /0 URI names/],
    'with a common name only': [
      forger.withCertificate(planner, { names: [], commonName: PLANNER }),
      'PEER_ID_INVALID',
      /0 URI names/,
    ],
    'with a DNS name in place of the URI': [
      forger.withCertificate(planner, { names: [dns('planner.acme.example')] }),
      'PEER_ID_INVALID',
      /0 URI names/,
    ],
    'with a NUL in its name': [
      forger.withCertificate(planner, { names: [uri(`${PLANNER}\0.evil`)] }),
      'PEER_ID_INVALID',
      /./,
    ],
    'with a comma that looks like a second name': [
      forger.withCertificate(planner, { names: [uri(`${PLANNER}x, URI:${PLANNER}`)] }),
      'PEER_ID_INVALID',
      /./,
    ],
    'with a name in upper case': [
      forger.withCertificate(planner, { names: [uri('spiffe://ACME.example/agent/planner')] }),
      'PEER_ID_INVALID',
      /SPIFFE/,
    ],
    'with dots in its path': [
      forger.withCertificate(planner, { names: [uri('spiffe://acme.example/agent/x/../planner')] }),
      'PEER_ID_INVALID',
      /SPIFFE/,
    ],
    'of another trust domain, under our root': [
      forger.identity({ spiffeId: 'spiffe://evil.example/agent/planner', measurement }),
      'TRUST_DOMAIN_NOT_ACCEPTED',
      /evil\.example/,
    ],
  };
  for (const [name, [identity, code, detail]] of Object.entries(refused)) {
    for (const alpn of ['h2', 'ait-data/1']) {
      await t.test(`a certificate ${name}, on ${alpn}: ${code}`, async () => {
        const from = victim.sidecar.mark();
        const verdict = victim.waitFor('peer_refused', () => true, { from });
        const socket = await attacker.tls(victim.inbound, { identity, ALPNProtocols: [alpn] }).catch(() => undefined);
        socket?.write(randomBytes(64));
        const line = await verdict;
        assert.equal(line['code'], code);
        assert.match(String(line['detail']), detail);
        assert.equal(line['subject'], '', 'nothing of the certificate is believed');
        socket?.destroy();
      });
    }
  }

  assertAppUntouched(victim);
  assert.deepEqual(await victim.sessions(), []);
});
