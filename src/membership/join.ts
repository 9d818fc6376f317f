import { connect as tlsConnect } from 'node:tls';
import type { DetailedPeerCertificate } from 'node:tls';
import { createCsr } from '../crypto/csr.ts';
import { certificateToPem, generateKeyPair, privateKeyToPem, type KeyPair } from '../crypto/keys.ts';
import { readX509 } from '../crypto/certificate-fields.ts';
import { findPinnedRoot, serverNameOfPin, type RootPin } from '../crypto/root-pin.ts';
import { readSvid } from '../crypto/svid.ts';
import { createTlsContext, rootProbeTlsOptions } from '../crypto/tls-context.ts';
import { parseTrustBundle, type TrustBundle } from '../crypto/trust-bundle.ts';
import { authorityId } from '../domain/agent-id.ts';
import type { Clock } from '../platform/clock.ts';
import type { JoinResponse__Output } from '../wire/generated/ait/v1/JoinResponse.ts';
import { JoinClient } from '../wire/services.ts';
import { CONTROL_ALPN } from './peer-inspection.ts';
import { ConnectionRefused, openTcp } from './secure-outbound.ts';
import { AuthorityChannel, AuthorityError } from './authority-channel.ts';
import type { Enrollment } from './enrollment.ts';

/** What an instance has once it is a member: its key, which stays in this process, and its certificate. */
export interface Membership {
  readonly instanceId: string;
  readonly keyPair: KeyPair;
  readonly certificateDer: Buffer;
  readonly bundle: TrustBundle;
}

export interface JoinOptions {
  readonly enrollment: Enrollment;
  readonly address: string;
  /** SHA-256 of roots that are trusted besides the credential's: of the last good state. Default: none. */
  readonly knownRoots?: readonly RootPin[];
  readonly clock: Clock;
  readonly handshakeTimeoutMs: number;
}

/**
 * Joins the mesh: finds a pinned root among what the server sends, dials again trusting only that root, and only then
 * shows the credential or token. The root that we were given comes first; it may have been replaced since.
 *
 * @throws AuthorityError; MeshError `FILE_UNREADABLE` for a token that is not there
 */
export async function joinMesh(options: JoinOptions): Promise<Membership> {
  const { enrollment, address, knownRoots = [], clock, handshakeTimeoutMs } = options;
  const { trustDomain, subject, rootSha256 } = enrollment;
  const pins = [...new Set([rootSha256, ...knownRoots])];
  const root = await fetchPinnedRoot({ address, pins, handshakeTimeoutMs });
  const channel = new AuthorityChannel({
    address,
    expected: authorityId(trustDomain),
    context: createTlsContext({ caPems: [certificateToPem(root)] }),
    roots: new Map([[trustDomain, [readX509(root)]]]),
    handshakeTimeoutMs,
    now: () => clock.now(),
  });
  try {
    const keyPair = generateKeyPair();
    const client = channel.client(JoinClient);
    const request = { ...(await enrollment.evidence()), csrDer: createCsr({ keyPair }) };
    const answer = await channel.ask<JoinResponse__Output>((callback) => client.Join(request, callback));
    const bundle = parseTrustBundle(answer.trustBundle, trustDomain);
    const svid = readSvid(readX509(answer.certificateDer));
    if (svid.spiffeId !== subject) {
      throw new AuthorityError(`the authority issued ${svid.spiffeId}, this instance is one of ${subject}`, {
        transient: false,
      });
    }
    return { instanceId: answer.instanceId, keyPair, certificateDer: answer.certificateDer, bundle };
  } finally {
    channel.close();
  }
}

/** How long the other side may take to hang up, too. */
const HANG_UP_MS = 1000;

interface RootSearch {
  readonly address: string;
  /** Any of them will do. */
  readonly pins: readonly RootPin[];
  readonly handshakeTimeoutMs: number;
}

/** Asks the server for a certificate by each of these roots in turn, until it shows one that is among them. */
async function fetchPinnedRoot({ address, pins, handshakeTimeoutMs }: RootSearch): Promise<Uint8Array> {
  for (const pin of pins) {
    const chain = await fetchChain({ address, serverName: serverNameOfPin(pin), handshakeTimeoutMs });
    const root = findPinnedRoot(chain, ...pins);
    if (root !== undefined) return root;
  }
  throw new AuthorityError(
    `${address} is not the authority whose root this instance was given: its root is another one, or was replaced since`,
    { reason: 'AUTHORITY_ROOT_MISMATCH', transient: false },
  );
}

/**
 * Looks at the server's chain over a connection that trusts nobody and carries nothing.
 *
 * @param options `serverName`: which root is asked for, as `serverNameOfPin` writes it
 * @returns DER, the server's own certificate first; nothing of it has been verified
 * @throws AuthorityError
 */
export async function fetchChain(options: {
  readonly address: string;
  readonly serverName?: string;
  readonly handshakeTimeoutMs: number;
}): Promise<Uint8Array[]> {
  const { address, serverName, handshakeTimeoutMs } = options;
  const raw = await openTcp(address, handshakeTimeoutMs).catch((error: unknown) => {
    const detail = error instanceof ConnectionRefused ? error.rejection.detail : String(error);
    throw new AuthorityError(`cannot reach the authority: ${detail}`, { transient: true, cause: error });
  });
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({
      ...rootProbeTlsOptions({ alpn: [CONTROL_ALPN] }),
      socket: raw,
      ...(serverName !== undefined && { servername: serverName }),
    });
    const timer = setTimeout(
      () => fail(new Error(`no TLS handshake within ${handshakeTimeoutMs} ms`)),
      handshakeTimeoutMs,
    );
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(
        new AuthorityError(`${address} does not answer like an authority: ${error.message}`, {
          transient: true,
          cause: error,
        }),
      );
    };
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      const chain = chainOf(socket.getPeerCertificate(true));
      socket.off('error', fail);
      socket.on('error', () => undefined);
      // In good order: cutting the handshake's last flight off would look like an attack in the authority's log.
      socket.end();
      setTimeout(() => socket.destroy(), HANG_UP_MS).unref();
      resolve(chain);
    });
  });
}

function chainOf(leaf: DetailedPeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  for (
    let next: DetailedPeerCertificate | undefined = leaf;
    next?.raw !== undefined && chain.length < 8;
    next = next.issuerCertificate
  ) {
    chain.push(next.raw);
    if (next.issuerCertificate === next) break;
  }
  return chain;
}

/** The PEM pair that TLS wants; the key is in no file. */
export function tlsMaterialOf({ keyPair, certificateDer }: Pick<Membership, 'keyPair' | 'certificateDer'>): {
  certPem: string;
  keyPem: string;
} {
  return { certPem: certificateToPem(certificateDer), keyPem: privateKeyToPem(keyPair.privateKey) };
}
