import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { verifyChain, type VouchedIdentity } from '../crypto/chain.ts';
import { checkPeerCertificate, type PeerIdentity } from '../crypto/svid.ts';
import { trustDomainOf, type TrustDomain } from '../domain/agent-id.ts';
import { rejection, type Rejection } from '../domain/rejection.ts';

/** ALPN of the exchange, and of data connections. A socket with any other is destroyed. */
export const CONTROL_ALPN = 'h2';
export const DATA_ALPN = 'ait-data/1';
/** ALPN of connections to the inference service; never spoken between sidecars. */
export const HTTP_ALPN = 'http/1.1';
export type MeshAlpn = typeof CONTROL_ALPN | typeof DATA_ALPN | typeof HTTP_ALPN;
const BETWEEN_SIDECARS: readonly MeshAlpn[] = [CONTROL_ALPN, DATA_ALPN];

/** Roots by trust domain: a root vouches for names of its own domain only. */
export type TrustedRoots = ReadonlyMap<TrustDomain, readonly X509Certificate[]>;

export interface InspectedPeer {
  readonly alpn: MeshAlpn;
  readonly identity: VouchedIdentity;
}

export interface InspectionInput {
  readonly roots: TrustedRoots;
  readonly now: number;
  readonly shown?: Uint8Array | undefined;
  readonly alpns?: readonly MeshAlpn[];
}

/**
 * What the socket itself must show once TLS is up, before anything is read from it: a full handshake, our ALPN, one
 * SPIFFE ID, and a chain to the roots of that very trust domain. Fails closed.
 *
 * @param now milliseconds since the epoch
 * @param shown the peer's certificate in DER, where TLS has handed it over already; asking the socket again is dear.
 * @param alpns what may have been negotiated. Default: what sidecars speak with each other.
 */
export function inspectPeer(
  socket: TLSSocket,
  { roots, now, shown, alpns = BETWEEN_SIDECARS }: InspectionInput,
): InspectedPeer | Rejection {
  if (socket.isSessionReused()) return rejection('TLS_RESUMED', 'the TLS session was resumed');
  const { alpnProtocol } = socket;
  const alpn = alpns.find((known) => known === alpnProtocol);
  if (alpn === undefined) {
    return rejection(
      'ALPN_MISMATCH',
      `the peer negotiated ${alpnProtocol === false ? 'no protocol' : `"${alpnProtocol}"`}`,
    );
  }
  // Not `getPeerX509Certificate`: in Node 20 each connection on which it is asked loses a certificate's memory for good.
  const certificate = shown ?? derOf(socket);
  if (!socket.authorized || certificate === undefined) {
    return rejection('PEER_ID_INVALID', 'the peer presented no certificate that TLS could verify');
  }
  const named = checkPeerCertificate(certificate);
  if (!named.ok) return rejection('PEER_ID_INVALID', named.detail);
  const untimely = checkDates(named.identity, now);
  if (untimely !== undefined) return untimely;
  const trustDomain = trustDomainOf(named.identity.spiffeId);
  const chain = verifyChain({ leaf: certificate, roots: roots.get(trustDomain) ?? [], at: now });
  if (!chain.ok) return rejection('TRUST_DOMAIN_NOT_ACCEPTED', `${named.identity.spiffeId}: ${chain.detail}`);
  return { alpn, identity: chain.identity };
}

/**
 * What is wrong with the dates of a certificate that TLS refused for them, with both times, which OpenSSL does not tell.
 * For people only: the connection is refused either way.
 */
export function explainDates(der: Uint8Array, now: number): Rejection | undefined {
  const named = checkPeerCertificate(der);
  return named.ok ? checkDates(named.identity, now) : undefined;
}

/** Before the chain, which would refuse it, too, but as if somebody else had issued it. */
function checkDates({ notBefore, notAfter }: PeerIdentity, now: number): Rejection | undefined {
  const [ours, start, end] = [now, notBefore, notAfter].map((at) => new Date(at).toISOString());
  if (now < notBefore) {
    return rejection('CERTIFICATE_NOT_VALID_NOW', `the certificate is valid from ${start}, our clock says ${ours}`, {
      clocks: { ours: now, theirs: notBefore, what: 'start of the certificate' },
    });
  }
  if (now > notAfter) {
    return rejection('CERTIFICATE_NOT_VALID_NOW', `the certificate was valid until ${end}, our clock says ${ours}`, {
      clocks: { ours: now, theirs: notAfter, what: 'end of the certificate' },
    });
  }
  return undefined;
}

/** The type says otherwise, but without a certificate this is an empty object or null. */
export function derOf(socket: TLSSocket): Uint8Array | undefined {
  return (socket.getPeerCertificate(false) as { readonly raw?: Uint8Array } | null)?.raw;
}

export function isInspected(result: InspectedPeer | Rejection): result is InspectedPeer {
  return 'identity' in result;
}
