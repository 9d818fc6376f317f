import { createHash, X509Certificate } from 'node:crypto';
import { connect, createServer } from 'node:tls';
import type { ConnectionOptions, TlsOptions, TLSSocket } from 'node:tls';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { parseSpiffeId, parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { sha256Digest } from '../../../src/domain/canonical/digest.ts';
import { AIT_PROFILE } from '../../../src/domain/identity-token.ts';
import type { AitClaims, ProofClaims } from '../../../src/domain/identity-token.ts';
import type { Measurement } from '../../../src/domain/measurement.ts';
import { exportJwk, generateKeyPair, jwkThumbprint, sha256Base64Url } from '../../../src/crypto/keys.ts';
import type { KeyPair } from '../../../src/crypto/keys.ts';
import { createRoot, issueSvid, openIssuer } from '../../../src/crypto/x509-issuer.ts';
import type { Issuer } from '../../../src/crypto/x509-issuer.ts';

/** 2026-11-01T00:00:00Z: "now" in every test of this folder. */
export const NOW = Date.UTC(2026, 10, 1);
export const HOUR = 3_600_000;
export const ACME = parseTrustDomain('acme.example');
export const PLANNER = parseSpiffeId('spiffe://acme.example/agent/planner');
export const SEARCHER = parseSpiffeId('spiffe://acme.example/agent/searcher');

/** Bytes that are different for every label and the same in every run. */
export function bytesFor(label: string, length: number): Buffer {
  return createHash('sha256').update(label).digest().subarray(0, length);
}

let serials = 0;
export const nextSerial = (): Buffer => bytesFor(`serial ${serials++}`, 16);

export interface TestRoot {
  readonly issuer: Issuer;
  readonly pem: string;
  readonly certificate: X509Certificate;
}

export function makeRoot(trustDomain: string = ACME, dates: { notBefore?: number; notAfter?: number } = {}): TestRoot {
  const root = createRoot({
    trustDomain: parseTrustDomain(trustDomain),
    commonName: `${trustDomain} test root`,
    notBefore: dates.notBefore ?? NOW - HOUR,
    notAfter: dates.notAfter ?? NOW + 1000 * HOUR,
  });
  return { issuer: openIssuer(root), pem: root.certPem, certificate: new X509Certificate(root.certPem) };
}

export interface TestSvid {
  readonly keyPair: KeyPair;
  readonly pem: string;
  readonly certificate: X509Certificate;
}

export function makeSvid(
  issuer: Issuer,
  { spiffeId = PLANNER, notBefore = NOW - HOUR, notAfter = NOW + HOUR, keyPair = generateKeyPair() } = {},
): TestSvid {
  const { publicKey } = keyPair;
  const pem = issueSvid({ issuer, publicKey, spiffeId, notBefore, notAfter, serial: nextSerial() });
  return { keyPair, pem, certificate: new X509Certificate(pem) };
}

export function privatePem({ keyPair }: TestSvid): string {
  return keyPair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

export const MEASUREMENT: Measurement = {
  system_prompt: {
    prompts: { main: { hash: sha256Digest('be helpful'), canonicalization: 'ait-text-1' } },
    assurance: 'at_rest',
  },
  knowledge_base: {
    version: '2026-10',
    hash: sha256Digest('knowledge'),
    canonicalization: 'ait-set-1',
    assurance: 'at_rest',
  },
  model: { provider: 'example', id: 'large', version: '3', hash: sha256Digest('weights'), assurance: 'declared' },
  tools: { canonicalization: 'ait-json-1', tools: { search: sha256Digest('search') }, assurance: 'in_use' },
};

export function aitClaims(svid: TestSvid, overrides: Partial<AitClaims> = {}): AitClaims {
  const now = NOW / 1000;
  return {
    iss: 'spiffe://acme.example',
    sub: PLANNER,
    aud: [ACME],
    iat: now,
    nbf: now,
    exp: now + 3600,
    jti: 'token-1',
    cnf: { 'x5t#S256': sha256Base64Url(svid.certificate.raw), jwk: exportJwk(svid.keyPair.publicKey) },
    eat_profile: AIT_PROFILE,
    agent: { instance: 'instance-1', sponsor: { format: 'opaque', id: 'sponsor-1' }, measurement: MEASUREMENT },
    ...overrides,
  };
}

export function proofClaims(overrides: Partial<ProofClaims> = {}): ProofClaims {
  return {
    aud: SEARCHER,
    iat: NOW / 1000,
    role: 'dialler',
    seq: 0,
    nonce: {
      dialler: bytesFor('dialler nonce', 32).toString('base64url'),
      acceptor: bytesFor('acceptor nonce', 32).toString('base64url'),
    },
    x5t: { dialler: sha256Base64Url('dialler certificate'), acceptor: sha256Base64Url('acceptor certificate') },
    ath: sha256Base64Url('token'),
    measurement: MEASUREMENT,
    ...overrides,
  };
}

export const keyIdOf = ({ publicKey }: KeyPair): string => jwkThumbprint(exportJwk(publicKey));

export const encodePart = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export interface HandshakeResult {
  readonly clientError: string | undefined;
  readonly serverError: string | undefined;
  readonly alpn: string | false | null;
  readonly protocol: string | null;
  readonly clientChain: readonly Buffer[];
  /** The peer's certificate as the server saw it. */
  readonly seenByServer: X509Certificate | undefined;
}

/** One handshake over a real socket; the server writes one byte, so that TLS 1.3 client errors come to light. */
export async function handshake(serverOptions: TlsOptions, clientOptions: ConnectionOptions): Promise<HandshakeResult> {
  const server = createServer(serverOptions);
  let serverError: string | undefined;
  let seenByServer: X509Certificate | undefined;
  server.on('tlsClientError', (error) => (serverError = error.message));
  server.on('secureConnection', (socket) => {
    seenByServer = socket.getPeerX509Certificate();
    socket.on('error', () => {});
    socket.end('.');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ ...clientOptions, host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  let clientError: string | undefined;
  let clientChain: Buffer[] = [];
  let alpn: string | false | null = null;
  let protocol: string | null = null;
  socket.on('error', (error) => (clientError = error.message));
  socket.on('secureConnect', () => {
    clientChain = chainOf(socket);
    alpn = socket.alpnProtocol;
    protocol = socket.getProtocol();
  });
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => server.close(resolve));
  return { clientError, serverError, alpn, protocol, clientChain, seenByServer };
}

function chainOf(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let next = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && !chain.some((known) => known.equals(next.raw))) {
    chain.push(next.raw);
    next = next.issuerCertificate;
  }
  return chain;
}
