import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { sha256Base64Url } from '../../crypto/keys.ts';
import { signProof } from '../../crypto/proof.ts';
import { readSvid, type PeerIdentity } from '../../crypto/svid.ts';
import { createTlsContext, serverTlsOptions, type TlsContext } from '../../crypto/tls-context.ts';
import { authorityId, trustDomainOf } from '../../domain/agent-id.ts';
import { canonicalizeJson } from '../../domain/canonical/jcs.ts';
import { parseJoinCredential, type JoinCredential } from '../../domain/join-credential.ts';
import { measurementToJson } from '../../domain/measurement-json.ts';
import type { Measurement } from '../../domain/measurement.ts';
import { systemClock } from '../../platform/clock.ts';
import { systemRandom } from '../../platform/random.ts';
import { AuthorityChannel } from '../../membership/authority-channel.ts';
import { enrollWithCredential } from '../../membership/enrollment.ts';
import { joinMesh, tlsMaterialOf, type Membership } from '../../membership/join.ts';
import { framePreface, readPreface } from '../../sidecar/data/preface.ts';
import { CONTROL_ALPN, DATA_ALPN, type MeshAlpn, type TrustedRoots } from '../../membership/peer-inspection.ts';
import { openTcp, secureOutbound, type SecuredConnection } from '../../membership/secure-outbound.ts';
import type { ExchangeResponse__Output } from '../../wire/generated/ait/v1/ExchangeResponse.ts';
import type { IssueAitResponse__Output } from '../../wire/generated/ait/v1/IssueAitResponse.ts';
import { CHANNEL_OPTIONS, OwnedConnectionCredentials, channelTarget } from '../../wire/owned-channel.ts';
import { AgentIdentityExchangeClient, IdentityClient, dataOpenCodec } from '../../wire/services.ts';

const TIMEOUT_MS = 3_000;
const NONCE_BYTES = 32;

/** What an attacker claims in an exchange; the proof that goes with it is a right one, by the key of its certificate. */
export interface Pretence {
  /** `host:port` of the victim. */
  readonly address: string;
  readonly ait: string;
  /** Instance that it says it is. */
  readonly instance: string;
  readonly measurement: Measurement;
  /** By which the victim's decision is found. */
  readonly correlationId: string;
}

/** Somebody with a real membership of this mesh, a key and a certificate of its own, and no scruples. */
export class Attacker {
  readonly membership: Membership;
  readonly identity: PeerIdentity;
  readonly #credential: JoinCredential;
  readonly #context: TlsContext;
  readonly #roots: TrustedRoots;
  readonly #servers: Server[] = [];

  private constructor(membership: Membership, credential: JoinCredential) {
    this.membership = membership;
    this.#credential = credential;
    this.identity = readSvid(readX509(membership.certificateDer));
    this.#context = createTlsContext({ ...tlsMaterialOf(membership), caPems: membership.bundle.roots });
    this.#roots = new Map([[credential.trustDomain, membership.bundle.roots.map((pem) => readX509(pem))]]);
  }

  /** Joins as any instance does. @throws AuthorityError */
  static async join(credentialFile: string): Promise<Attacker> {
    const credential = parseJoinCredential(readFileSync(credentialFile, 'utf8'));
    const { authority: address } = credential;
    return new Attacker(
      await joinMesh({
        enrollment: enrollWithCredential(credential),
        address,
        clock: systemClock,
        handshakeTimeoutMs: TIMEOUT_MS,
      }),
      credential,
    );
  }

  /** A valid token, bound to this attacker's certificate. @throws AuthorityError */
  async obtainToken(measurement: Measurement): Promise<string> {
    const { authority: address } = this.#credential;
    const channel = new AuthorityChannel({
      address,
      context: this.#context,
      roots: this.#roots,
      handshakeTimeoutMs: TIMEOUT_MS,
      expected: authorityId(trustDomainOf(this.identity.spiffeId)),
      now: () => systemClock.now(),
    });
    try {
      const client = channel.client(IdentityClient);
      const request = { measurement: canonicalizeJson(measurementToJson(measurement)), dataAddress: '' };
      const { ait } = await channel.ask<IssueAitResponse__Output>((callback) => client.IssueAit(request, callback));
      return ait;
    } finally {
      channel.close();
    }
  }

  /** Dials a sidecar and holds the whole conversation of a dialler. @returns what the victim said in the end. */
  async exchange(pretence: Pretence): Promise<string> {
    let peer: PeerIdentity | undefined;
    const credentials = new OwnedConnectionCredentials(async (raw) => {
      const secured = await this.#secure(raw, CONTROL_ALPN);
      peer = secured.peer.identity;
      return secured.socket;
    });
    const client = new AgentIdentityExchangeClient(channelTarget(pretence.address), credentials, CHANNEL_OPTIONS);
    const call = client.Exchange();
    const nonce = systemRandom.bytes(NONCE_BYTES);
    const { ait, instance, correlationId } = pretence;
    call.write({ hello: { versions: [1], ait, nonce, instanceId: instance, dataAddress: '', correlationId } });
    try {
      return await new Promise<string>((resolve, reject) => {
        call.on('data', (message: ExchangeResponse__Output) => {
          if (message.hello && peer !== undefined) {
            call.write({ proof: { jws: this.#proof({ pretence, peer, nonce, theirs: message.hello.nonce }) } });
            call.write({ accept: {} });
          } else if (message.reject) resolve(`refused: ${message.reject.reason}`);
          else if (message.accept) resolve('accepted');
        });
        call.on('error', reject);
        call.on('end', () => resolve('the connection ended'));
      });
    } finally {
      call.on('error', () => undefined);
      call.cancel();
      client.close();
    }
  }

  /** Opens a data connection that names a session. @returns whether anything but a refusal came back. */
  async openData({
    address,
    instance,
    correlationId,
  }: Pick<Pretence, 'address' | 'instance' | 'correlationId'>): Promise<void> {
    const raw = await openTcp(address, TIMEOUT_MS);
    const { socket } = await this.#secure(raw, DATA_ALPN);
    socket.write(
      framePreface(dataOpenCodec.encode({ sessionId: systemRandom.bytes(16), instanceId: instance, correlationId })),
    );
    await readPreface(socket, TIMEOUT_MS);
    socket.destroy();
  }

  /** Listens with its own certificate where somebody else is expected. @returns `host:port` */
  async impersonate(): Promise<string> {
    const { certPem, keyPem } = tlsMaterialOf(this.membership);
    // The root is sent along, as the real authority does for first contact.
    const chain = certPem + this.membership.bundle.roots.join('');
    const context = createTlsContext({ certPem: chain, keyPem, caPems: this.membership.bundle.roots });
    const server = createServer(serverTlsOptions({ context, alpn: [CONTROL_ALPN], requestCert: false }), (socket) => {
      socket.on('error', () => undefined);
      socket.resume();
    });
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }

  #secure(raw: Parameters<typeof secureOutbound>[0]['raw'], alpn: MeshAlpn): Promise<SecuredConnection> {
    const now = (): number => systemClock.now();
    return secureOutbound({ raw, context: this.#context, roots: this.#roots, alpn, timeoutMs: TIMEOUT_MS, now });
  }

  #proof({
    pretence,
    peer,
    nonce,
    theirs,
  }: {
    pretence: Pretence;
    peer: PeerIdentity;
    nonce: Buffer;
    theirs: Buffer;
  }): string {
    return signProof({
      key: this.membership.keyPair.privateKey,
      claims: {
        aud: peer.spiffeId,
        iat: Math.floor(systemClock.now() / 1000),
        role: 'dialler',
        seq: 0,
        nonce: { dialler: nonce.toString('base64url'), acceptor: theirs.toString('base64url') },
        x5t: { dialler: this.identity.thumbprint, acceptor: peer.thumbprint },
        ath: sha256Base64Url(pretence.ait),
        measurement: pretence.measurement,
      },
    });
  }
}
