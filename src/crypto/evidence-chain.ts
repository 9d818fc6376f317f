import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { sha256Digest, type Digest } from '../domain/canonical/digest.ts';
import { MeshError } from '../domain/mesh-error.ts';
import type { Clocks } from '../domain/rejection.ts';
import { KEY_USAGE, readCertificateFields, readX509, type CertificateFields } from './certificate-fields.ts';
import { isP256 } from './keys.ts';

export type EvidenceChainCheck =
  | { readonly ok: true; readonly publicKey: KeyObject }
  | { readonly ok: false; readonly detail: string; readonly clocks?: Clocks };

export interface EvidenceChainRules {
  /** SHA-256 of the DER of each approved root. With none, nothing is trusted. */
  readonly roots: readonly Digest[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A root of simulated hardware says so in its name: nobody shall approve one without having seen the word. */
export const SIMULATED_MARK = 'SIMULATED';

/**
 * Whether the certificate of a simulated hardware key was issued directly by an approved root: exactly the two; the
 * root pinned, a CA in its own name and word; the leaf none, for digital signatures only; both P-256 and within their
 * dates. Fails closed.
 *
 * @param chain DER: leaf, root
 */
export function checkEvidenceChain(
  chain: readonly Uint8Array[],
  { roots, now }: EvidenceChainRules,
): EvidenceChainCheck {
  const [leafDer, rootDer, ...more] = chain;
  if (leafDer === undefined || rootDer === undefined || more.length > 0) return no('the chain is not leaf and root');
  const pin = sha256Digest(rootDer);
  if (!roots.includes(pin)) return no(`its root ${pin} is not approved`);
  let read: readonly [Link, Link];
  try {
    read = [readLink(leafDer), readLink(rootDer)];
  } catch (error) {
    if (error instanceof MeshError) return no(error.message);
    throw error;
  }
  const [leaf, root] = read;
  const problem = rootProblem(root) ?? leafProblem(leaf, root);
  if (problem !== undefined) return no(problem);
  return datesProblem('the root', root, now) ?? datesProblem('the certificate', leaf, now) ?? grant(leaf);
}

interface Link {
  readonly certificate: X509Certificate;
  readonly fields: CertificateFields;
  readonly publicKey: KeyObject;
}

/** @throws MeshError `CERTIFICATE_INVALID`, also for bytes after the certificate */
function readLink(der: Uint8Array): Link {
  const fields = readCertificateFields(der);
  try {
    const publicKey = createPublicKey({ key: fields.publicKey, format: 'der', type: 'spki' });
    return { certificate: readX509(der), fields, publicKey };
  } catch (cause) {
    throw new MeshError('CERTIFICATE_INVALID', 'a certificate of the chain cannot be read', { cause });
  }
}

function rootProblem({ certificate, fields, publicKey }: Link): string | undefined {
  const { isCa, keyUsage = 0, subject } = fields;
  if (!isCa || (keyUsage & KEY_USAGE.keyCertSign) === 0) return 'the root is no certificate authority';
  if (!isP256(publicKey)) return 'the key of the root is not EC P-256';
  if (!subject.includes(SIMULATED_MARK)) return `the name of the root does not say ${SIMULATED_MARK}`;
  return isIssuedBy(certificate, { certificate, publicKey }) ? undefined : 'the root is not issued by itself';
}

function leafProblem({ certificate, fields, publicKey }: Link, root: Link): string | undefined {
  const { isCa, keyUsage = 0 } = fields;
  if (isCa || (keyUsage & (KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign)) !== 0)
    return 'the signing certificate may issue';
  if ((keyUsage & KEY_USAGE.digitalSignature) === 0) return 'the signing certificate is not for signatures';
  if (!isP256(publicKey)) return 'the signing key is not EC P-256';
  return isIssuedBy(certificate, root) ? undefined : 'the root did not issue the signing certificate';
}

function isIssuedBy(certificate: X509Certificate, issuer: Pick<Link, 'certificate' | 'publicKey'>): boolean {
  return certificate.checkIssued(issuer.certificate) && certificate.verify(issuer.publicKey);
}

function datesProblem(what: string, { fields }: Link, now: number): EvidenceChainCheck | undefined {
  const { notBefore, notAfter } = fields;
  // Written so that NaN is refused, too.
  const [words, theirs] = !(now >= notBefore) ? ['is valid from', notBefore] : ['was valid until', notAfter];
  if (now >= notBefore && now <= notAfter) return undefined;
  const ours = Number.isFinite(now) ? new Date(now).toISOString() : String(now);
  const detail = `${what} of the chain ${words} ${new Date(theirs).toISOString()}, our clock says ${ours}`;
  return { ok: false, detail, clocks: { ours: now, theirs, what: `${what} of the chain` } };
}

function grant({ publicKey }: Link): EvidenceChainCheck {
  return { ok: true, publicKey };
}

function no(detail: string): EvidenceChainCheck {
  return { ok: false, detail };
}
