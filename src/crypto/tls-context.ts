import { constants } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { ConnectionOptions, PeerCertificate, SecureContext, SecureContextOptions, TlsOptions } from 'node:tls';
import { MeshError } from '../domain/mesh-error.ts';
import { readX509 } from './certificate-fields.ts';

/** What a process trusts and shows, parsed once: a third of a handshake's CPU is parsing PEM. */
export interface TlsContext {
  readonly secureContext: SecureContext;
  /** The same, as `tls.Server` and `setSecureContext` want it: they cannot take a parsed context. */
  readonly material: Readonly<SecureContextOptions>;
}

export interface TlsMaterial {
  /** SVID, followed by further certificates to send along; with `keyPem` or not at all (a client that joins). */
  readonly certPem?: string;
  readonly keyPem?: string;
  /** Roots to trust, at least one, one certificate each. */
  readonly caPems: readonly string[];
}

/**
 * How every TLS connection of the mesh is made, whoever makes it.
 *
 * - TLS 1.3 at both ends of the range: 1.2 shows certificates in clear and has renegotiation.
 * - No tickets. On a resumed session the certificate is not verified again (one that expired or was taken out of trust
 *   meanwhile is still shown as authorised), and identity checks at the client are not run at all.
 * - ECDSA on P-256 with SHA-256 only, which is what the authority issues; nothing else has to be parsed.
 */
const FIXED = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
  sigalgs: 'ecdsa_secp256r1_sha256',
} as const satisfies SecureContextOptions;

/**
 * The only place where TLS settings are made. Never falls back to the roots of the system: with nothing to trust, it
 * throws.
 *
 * @throws MeshError `TRUST_ROOTS_EMPTY`; `CERTIFICATE_INVALID` when a root cannot be read, or certificate and key
 *   are not usable together
 */
export function createTlsContext({ certPem, keyPem, caPems }: TlsMaterial): TlsContext {
  if (caPems.length === 0 || caPems.some((pem) => pem.trim() === '')) {
    throw new MeshError('TRUST_ROOTS_EMPTY', 'a TLS context needs at least one root certificate');
  }
  // Node skips a root that it cannot read, without a word.
  caPems.forEach((pem) => readX509(pem));
  if ((certPem === undefined) !== (keyPem === undefined)) {
    throw new MeshError('CERTIFICATE_INVALID', 'a certificate needs its key, and a key its certificate');
  }
  return build({
    ca: [...caPems],
    ...(certPem === undefined ? {} : { cert: certPem }),
    ...(keyPem === undefined ? {} : { key: keyPem }),
  });
}

export interface ServerTlsChoices {
  readonly context: TlsContext;
  /**
   * Protocols in order of preference. A client that offers none of them is turned away by TLS, but one that offers
   * nothing at all gets in with `alpnProtocol === false`: the caller destroys such a socket.
   */
  readonly alpn: readonly string[];
  /** False only where joins are taken: the joining side has no certificate yet. */
  readonly requestCert: boolean;
  /** Default 3000; Node's own is two minutes. */
  readonly handshakeTimeoutMs?: number;
}

/** Options for `tls.createServer`. With `requestCert`, a client without an acceptable certificate never gets a socket. */
export function serverTlsOptions({
  context,
  alpn,
  requestCert,
  handshakeTimeoutMs = 3000,
}: ServerTlsChoices): TlsOptions {
  return {
    ...context.material,
    ALPNProtocols: [...alpn],
    requestCert,
    rejectUnauthorized: requestCert,
    handshakeTimeout: handshakeTimeoutMs,
  };
}

/**
 * Gives a running server new material. `setSecureContext` forgets whatever it is not told again, and a call with only
 * key, certificate and roots would let TLS 1.2 and resumption back in. Open connections keep what they had.
 */
export function rotateServerContext(
  server: { setSecureContext(o: SecureContextOptions): void },
  next: TlsContext,
): void {
  server.setSecureContext({ ...next.material });
}

export interface ClientTlsChoices {
  readonly context: TlsContext;
  readonly alpn: readonly string[];
  /** Judges the server's certificate (DER) in place of the host name, which means nothing in a mesh. */
  readonly checkPeer: (der: Uint8Array) => Error | undefined;
}

/**
 * Options for `tls.connect`, to be completed with the address. No `session` is ever handed in. `tls.connect` has no
 * handshake timeout: the dialler arms its own. `checkPeer` runs after the chain was verified, in full handshakes only;
 * the caller destroys a socket with `isSessionReused()`.
 */
export function clientTlsOptions({ context, alpn, checkPeer }: ClientTlsChoices): ConnectionOptions {
  return {
    secureContext: context.secureContext,
    ALPNProtocols: [...alpn],
    rejectUnauthorized: true,
    checkServerIdentity: (_host: string, { raw }: PeerCertificate) => checkPeer(raw),
  };
}

/**
 * Options for a connection out of the mesh, to a server that is known by its host name (RFC 9525) and hangs on public
 * roots, or on `caPems` alone. TLS 1.2 at least; never resumed, so that the certificate is verified each time.
 *
 * @throws MeshError `TRUST_ROOTS_EMPTY`, `CERTIFICATE_INVALID`
 */
export function publicTlsOptions(host: string, caPems?: readonly string[]): ConnectionOptions {
  if (caPems?.length === 0) throw new MeshError('TRUST_ROOTS_EMPTY', 'there is no certificate to trust');
  // Node skips a root that it cannot read, without a word.
  caPems?.forEach((pem) => readX509(pem));
  return {
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET,
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 && { servername: host }),
    host,
    ...(caPems !== undefined && { ca: [...caPems] }),
  };
}

/**
 * Options for the one connection that trusts nobody: first contact, made only to read the certificates that the server
 * sends and to look for the pinned root among them (`root-pin.ts`). Send nothing on it; hang up, and dial again with a
 * context that trusts that root.
 */
export function rootProbeTlsOptions({ alpn }: { readonly alpn: readonly string[] }): ConnectionOptions {
  // An empty list, which OpenSSL takes for "nobody"; without the member Node would load the roots of the system.
  const { secureContext } = build({ ca: [] });
  return { secureContext, ALPNProtocols: [...alpn], rejectUnauthorized: false };
}

function build(own: SecureContextOptions): TlsContext {
  const material = Object.freeze({ ...own, ...FIXED });
  try {
    return Object.freeze({ secureContext: createSecureContext(material), material });
  } catch (cause) {
    throw new MeshError('CERTIFICATE_INVALID', 'certificate, key or roots cannot be used', { cause });
  }
}
