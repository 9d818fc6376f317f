import type { X509Certificate } from 'node:crypto';
import { connect as http2Connect, type ClientHttp2Session } from 'node:http2';
import type { TestContext } from 'node:test';
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { parseJoinCredential } from '../../src/domain/join-credential.ts';
import { canonicalizeJson } from '../../src/domain/canonical/jcs.ts';
import { measurementToJson } from '../../src/domain/measurement-json.ts';
import type { Measurement } from '../../src/domain/measurement.ts';
import { authorityId } from '../../src/domain/agent-id.ts';
import { createTlsContext } from '../../src/crypto/tls-context.ts';
import { rootCertificates } from '../../src/crypto/trust-bundle.ts';
import { certificateToPem, privateKeyToPem } from '../../src/crypto/keys.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { AuthorityChannel } from '../../src/membership/authority-channel.ts';
import { enrollWithCredential } from '../../src/membership/enrollment.ts';
import { joinMesh, tlsMaterialOf, type Membership } from '../../src/membership/join.ts';
import { IdentityClient } from '../../src/wire/services.ts';
import { hostOf, portOf } from './admin-request.ts';
import { Forger, thumbprintOf, type Identity } from './forgery.ts';
import { HostileExchange } from './hostile-exchange.ts';
import type { TestMesh } from './mesh.ts';

/** The attacker of one test: everything it opens ends with the test. */
export class Attacker {
  readonly mesh: TestMesh;
  readonly forger: Forger;
  readonly #sockets = new Set<TLSSocket>();

  constructor(mesh: TestMesh, forger: Forger) {
    this.mesh = mesh;
    this.forger = forger;
  }

  static async of(t: TestContext, mesh: TestMesh): Promise<Attacker> {
    const attacker = new Attacker(mesh, Forger.of(await mesh.authority.keys()));
    t.after(() => attacker.close());
    return attacker;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** A member of the mesh that nothing is wrong with, made without asking the authority. */
  member(agent: string, measurement: Measurement = this.mesh.agent(agent).measurement): Identity {
    return this.forger.identity({ spiffeId: `spiffe://acme.example/agent/${agent}`, measurement });
  }

  /** A TLS connection with whatever certificate, whatever ALPN. @throws Error when the handshake fails at our end */
  async tls(
    address: string,
    { identity, ...more }: { readonly identity?: Identity | undefined } & ConnectionOptions,
  ): Promise<TLSSocket> {
    const socket = tlsConnect({
      host: hostOf(address),
      port: portOf(address),
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.3',
      rejectUnauthorized: false,
      ...(identity !== undefined && { cert: identity.certPem, key: privateKeyToPem(identity.keyPair.privateKey) }),
      ...more,
    });
    this.#sockets.add(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => undefined);
    return socket;
  }

  /** An HTTP/2 connection over it. */
  http2(socket: TLSSocket): ClientHttp2Session {
    const session = http2Connect('https://sidecar', { createConnection: () => socket });
    session.on('error', () => undefined);
    return session;
  }

  /** Opens an Exchange stream; nothing is said on it yet. */
  async dial(
    address: string,
    identity: Identity,
    options: { readonly correlationId?: string } = {},
  ): Promise<HostileExchange> {
    const socket = await this.tls(address, { identity });
    const peerDer = socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0);
    return new HostileExchange({
      role: 'dialler',
      identity,
      stream: openExchangeStream(this.http2(socket)),
      socket,
      peerDer,
      ...options,
    });
  }

  /** The whole exchange as an honest dialler would do it, up to the acceptor's Accept. */
  async admitted(address: string, identity: Identity): Promise<HostileExchange> {
    const exchange = await this.dial(address, identity);
    exchange.hello();
    await exchange.expect('hello');
    await exchange.expect('proof');
    exchange.prove();
    exchange.accept();
    await exchange.expect('accept');
    return exchange;
  }
}

export function openExchangeStream(session: ClientHttp2Session) {
  return session.request({
    ':method': 'POST',
    ':path': '/ait.v1.AgentIdentityExchange/Exchange',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
}

/** Joins like a sidecar, with a real credential, and gets a real token for any measurement it likes. */
export async function joinAs(
  mesh: TestMesh,
  agent: string,
  measurement: Measurement,
): Promise<Identity & { readonly membership: Membership }> {
  const membership = await joinMesh({
    enrollment: enrollWithCredential(parseJoinCredential(await mesh.authority.credential(agent))),
    address: mesh.authority.address,
    clock: systemClock,
    handshakeTimeoutMs: 3_000,
  });
  const channel = authorityChannel(mesh, membership);
  try {
    const request = { measurement: canonicalizeJson(measurementToJson(measurement)), dataAddress: '' };
    const client = channel.client(IdentityClient);
    const { ait } = await channel.ask<{ ait: string }>((done) => client.IssueAit(request, done as never));
    const certPem = certificateToPem(membership.certificateDer);
    const { instanceId, keyPair } = membership;
    const spiffeId = parseJoinCredential(await mesh.authority.credential(agent)).subject;
    return { spiffeId, instanceId, certPem, keyPair, thumbprint: thumbprintOf(certPem), ait, measurement, membership };
  } finally {
    channel.close();
  }
}

/** A connection to the authority as this member. */
export function authorityChannel(mesh: TestMesh, membership: Membership): AuthorityChannel {
  const { bundle } = membership;
  const roots: readonly X509Certificate[] = rootCertificates(bundle);
  return new AuthorityChannel({
    address: mesh.authority.address,
    expected: authorityId(bundle.trustDomain),
    context: createTlsContext({ ...tlsMaterialOf(membership), caPems: bundle.roots }),
    roots: new Map([[bundle.trustDomain, roots]]),
    handshakeTimeoutMs: 3_000,
    now: () => Date.now(),
  });
}
