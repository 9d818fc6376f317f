import assert from 'node:assert/strict';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { test, type TestContext } from 'node:test';
import { OID } from '../../src/crypto/certificate-fields.ts';
import { privateKeyToPem } from '../../src/crypto/keys.ts';
import { createRoot } from '../../src/crypto/x509-issuer.ts';
import { parseTrustDomain } from '../../src/domain/agent-id.ts';
import type { RejectionCode } from '../../src/domain/rejection.ts';
import { BadProxy } from '../support/bad-proxy.ts';
import { Forger, type Identity } from '../support/forgery.ts';
import { chat, errorOf } from '../support/model-caller.ts';
import { plannerWithService } from '../support/model-mesh.ts';
import { TRUST_DOMAIN } from '../support/test-authority.ts';
import { uri } from '../unit/crypto/odd-certificate.ts';

const HOUR_MS = 3_600_000;
const NAME = `spiffe://${TRUST_DOMAIN}/inference/default`;
const measurement = { system_prompt: null, knowledge_base: null, model: null, tools: null } as const;

/** Whoever stands where the service should, and what the mesh's own authority would have had to sign for it. */
interface Impostor {
  readonly code: RejectionCode;
  readonly identity: Identity;
  readonly tls?: TlsOptions;
}

function impostors(forger: Forger): Readonly<Record<string, Impostor>> {
  const named = (spiffeId: string) => forger.identity({ spiffeId, measurement });
  const right = named(NAME);
  const evil = createRoot({
    trustDomain: parseTrustDomain(TRUST_DOMAIN),
    commonName: 'evil',
    notBefore: Date.now() - HOUR_MS,
    notAfter: Date.now() + 2 * HOUR_MS,
  });
  const foreign = new Forger({ root_certificate: evil.certPem, root_key: evil.keyPem });
  return {
    'an agent of the mesh': { code: 'UNEXPECTED_PEER', identity: named(`spiffe://${TRUST_DOMAIN}/agent/researcher`) },
    'an agent by the name of the service': {
      code: 'UNEXPECTED_PEER',
      identity: named(`spiffe://${TRUST_DOMAIN}/agent/inference/default`),
    },
    'another inference service': {
      code: 'UNEXPECTED_PEER',
      identity: named(`spiffe://${TRUST_DOMAIN}/inference/other`),
    },
    'a service below its name': { code: 'UNEXPECTED_PEER', identity: named(`${NAME}/blue`) },
    'the authority': { code: 'UNEXPECTED_PEER', identity: named(`spiffe://${TRUST_DOMAIN}/authority`) },
    'a service of another trust domain, by our root': {
      code: 'TRUST_DOMAIN_NOT_ACCEPTED',
      identity: named('spiffe://evil.example/inference/default'),
    },
    'its name, by a root of the same name': {
      code: 'TLS_HANDSHAKE_FAILED',
      identity: foreign.identity({ spiffeId: NAME, measurement }),
    },
    'its name, beside another': {
      code: 'PEER_ID_INVALID',
      identity: forger.withCertificate(right, { names: [uri(NAME), uri(`spiffe://${TRUST_DOMAIN}/agent/planner`)] }),
    },
    'its name, in a certificate for clients': {
      code: 'TLS_HANDSHAKE_FAILED',
      identity: forger.withCertificate(right, { purposes: [OID.clientAuth] }),
    },
    'its certificate of yesterday': {
      code: 'CERTIFICATE_NOT_VALID_NOW',
      identity: forger.identity({
        spiffeId: NAME,
        measurement,
        notBefore: Date.now() - 2 * HOUR_MS,
        notAfter: Date.now() - HOUR_MS,
      }),
    },
    'a server that negotiates no protocol': { code: 'ALPN_MISMATCH', identity: right, tls: {} },
    'a server that speaks another protocol': {
      code: 'TLS_HANDSHAKE_FAILED',
      identity: right,
      tls: { ALPNProtocols: ['h2'] },
    },
    'a server that speaks an older TLS': {
      code: 'TLS_HANDSHAKE_FAILED',
      identity: right,
      tls: { ALPNProtocols: ['http/1.1'], minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
    },
  };
}

/** Stands there, and keeps every byte that it is sent once TLS is up. */
async function stand(
  t: TestContext,
  { identity, tls = { ALPNProtocols: ['http/1.1'] } }: Impostor,
): Promise<{ readonly address: string; readonly heard: () => string; readonly handshakes: () => number }> {
  const sockets = new Set<Socket>();
  let [heard, attempts] = ['', 0];
  const server = createServer({
    key: privateKeyToPem(identity.keyPair.privateKey),
    cert: identity.certPem,
    requestCert: true,
    rejectUnauthorized: false,
    ...tls,
  });
  server.on('connection', (socket: Socket) => {
    attempts += 1;
    sockets.add(socket);
  });
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => (heard += chunk.toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { address, heard: () => heard, handshakes: () => attempts };
}

test('whoever stands where the service should hears not even a nonce, and the agent why its call went nowhere', async (t) => {
  let target = '';
  const network = await BadProxy.start(t, () => target);
  const { planner, service, mesh } = await plannerWithService(t, {
    inference: { service: { address: network.address } },
    prepare: ({ address }) => (target = address),
  });
  await planner.waitFor('sidecar_ready');
  const right = target;
  for (const [who, impostor] of Object.entries(impostors(Forger.of(await mesh.authority.keys())))) {
    await t.test(`${who}: ${impostor.code}`, async () => {
      assert.equal((await chat(planner)).status, 200);
      const before = service.questions.length;
      const { address, heard, handshakes } = await stand(t, impostor);
      target = address;
      network.cut();
      const reply = await chat(planner, { user: 'a secret' });
      assert.equal(errorOf(reply).code, impostor.code, reply.text);
      assert.ok(handshakes() > 0, 'it was asked');
      assert.equal(heard(), '', 'not a byte was sent');
      assert.doesNotMatch(reply.text, /spiffe:|a secret|127\.0\.0\.1/);
      assert.equal(service.questions.length, before);
      target = right;
    });
  }
});
