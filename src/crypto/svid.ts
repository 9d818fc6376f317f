import { createPublicKey } from 'node:crypto';
import type { KeyObject, X509Certificate } from 'node:crypto';
import { isSpiffeId } from '../domain/agent-id.ts';
import type { SpiffeId } from '../domain/agent-id.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { BoundedCache } from './bounded-cache.ts';
import { KEY_USAGE, OID, readCertificateFields } from './certificate-fields.ts';
import type { CertificateFields } from './certificate-fields.ts';
import { isP256, sha256Base64Url } from './keys.ts';

/** Who a certificate speaks of. Whether it may be believed is for the chain and the dates to say. */
export interface PeerIdentity {
  readonly spiffeId: SpiffeId;
  /** base64url SHA-256 of the DER, the `x5t#S256` of RFC 8705. */
  readonly thumbprint: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: KeyObject;
}

export type PeerCertificateCheck =
  { readonly ok: true; readonly identity: PeerIdentity } | { readonly ok: false; readonly detail: string };

/**
 * About 1.5 KB an entry. What has ended is forgotten ({@link forgetEndedCertificates}): with that it holds the peers of
 * one sidecar, twice over while they rotate, and fills only where there are hundreds of them.
 */
const MAX_CACHED = 1024;
/** The reading of a certificate depends on its bytes alone, so every caller may share it. Holds good ones only. */
const cache = new BoundedCache<PeerIdentity>(MAX_CACHED);

/**
 * Whether a certificate is an X.509-SVID as this mesh issues them (SPIFFE X.509-SVID sections 2, 4 and 5.2): exactly
 * one URI name, which is a SPIFFE ID with a path; no CA; digital signatures only; for both ends of TLS; EC P-256.
 *
 * The names are read from the DER. Node's `subjectAltName` is a text in which a comma or a NUL inside a name can look
 * like a second name. Neither dates nor signatures are checked here: see `chain.ts`. Fails closed.
 */
export function checkPeerCertificate(certificate: X509Certificate | Uint8Array): PeerCertificateCheck {
  const der = certificate instanceof Uint8Array ? certificate : certificate.raw;
  const thumbprint = sha256Base64Url(der);
  const known = cache.get(thumbprint);
  if (known !== undefined) return { ok: true, identity: known };
  let fields: CertificateFields;
  let publicKey: KeyObject;
  try {
    fields = readCertificateFields(der);
    publicKey = createPublicKey({ key: fields.publicKey, format: 'der', type: 'spki' });
  } catch (error) {
    return { ok: false, detail: error instanceof MeshError ? error.message : 'the public key cannot be read' };
  }
  const spiffeId = fields.uris[0];
  const problem = svidProblem(fields) ?? (isP256(publicKey) ? undefined : 'its key is not EC P-256');
  if (problem !== undefined) return { ok: false, detail: problem };
  if (!isSpiffeId(spiffeId)) return { ok: false, detail: 'its URI name is not a SPIFFE ID of a workload' };
  const { notBefore, notAfter } = fields;
  const identity: PeerIdentity = { spiffeId, thumbprint, notBefore, notAfter, publicKey };
  cache.set(thumbprint, identity);
  return { ok: true, identity };
}

/** Lets go of the readings of certificates that had ended by then, in milliseconds since the epoch: nobody shows them any more. */
export function forgetEndedCertificates(at: number): void {
  cache.forget(({ notAfter }) => notAfter < at);
}

/**
 * As {@link checkPeerCertificate}, for a certificate of our own.
 *
 * @throws MeshError `CERTIFICATE_INVALID`
 */
export function readSvid(certificate: X509Certificate | Uint8Array): PeerIdentity {
  const check = checkPeerCertificate(certificate);
  if (!check.ok) throw new MeshError('CERTIFICATE_INVALID', `not an SVID of this mesh: ${check.detail}`);
  return check.identity;
}

function svidProblem({ uris, isCa, keyUsage = 0, extendedKeyUsages }: CertificateFields): string | undefined {
  if (uris.length !== 1) return `it has ${uris.length} URI names, not one`;
  if (isCa) return 'it is a certificate authority';
  if ((keyUsage & KEY_USAGE.digitalSignature) === 0) return 'its key usage does not allow digital signatures';
  if ((keyUsage & (KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign)) !== 0) return 'its key usage allows to issue';
  for (const purpose of [OID.serverAuth, OID.clientAuth]) {
    if (!extendedKeyUsages.includes(purpose)) return 'its purpose is not both ends of TLS';
  }
  return undefined;
}
