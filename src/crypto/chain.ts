import type { X509Certificate } from 'node:crypto';
import { trustDomainOf } from '../domain/agent-id.ts';
import type { TrustDomain } from '../domain/agent-id.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { BoundedCache } from './bounded-cache.ts';
import { KEY_USAGE, readCertificateFields, readX509 } from './certificate-fields.ts';
import { sha256Base64Url } from './keys.ts';
import { checkPeerCertificate, forgetEndedCertificates } from './svid.ts';
import type { PeerIdentity } from './svid.ts';

export type ChainCheck =
  | { readonly ok: true; readonly identity: VouchedIdentity; readonly root: X509Certificate }
  | {
      readonly ok: false;
      readonly detail: string;
      /** Whether the dates are all that was found wrong: by another clock it may be good. */
      readonly untimely: boolean;
    };

/** Who a certificate speaks of, and on whose word. */
export interface VouchedIdentity extends PeerIdentity {
  /** base64url SHA-256 of the root that issued it. */
  readonly issuer: string;
}

export interface ChainQuestion {
  /** In DER it is given to OpenSSL only when its signature has not been checked before, which is cheaper. */
  readonly leaf: X509Certificate | Uint8Array;
  /** Roots of the leaf's own trust domain. Those of another domain are skipped; with none left nothing is accepted. */
  readonly roots: readonly X509Certificate[];
  /** Milliseconds since the epoch. */
  readonly at: number;
}

interface RootFacts {
  readonly trustDomain: string;
  readonly thumbprint: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A signature stays good or bad; dates are compared anew each time. Holds good ones only, with the leaf's end. */
const MAX_CACHED = 1024;
const verified = new BoundedCache<{ readonly notAfter: number }>(MAX_CACHED);
const rootFacts = new WeakMap<X509Certificate, RootFacts>();

/**
 * Whether an SVID was issued, directly, by a root of the trust domain in its own name, and both are within their dates.
 *
 * TLS has done most of this, but against one list of roots: with several domains in that list any root can mint any
 * domain's names. This check closes that. A root names its domain in its only URI name (X.509-SVID section 4.1). Fails
 * closed: no root, no trust.
 */
export function verifyChain({ leaf, roots, at }: ChainQuestion): ChainCheck {
  const check = checkPeerCertificate(leaf);
  if (!check.ok) return { ...check, untimely: false };
  const { identity } = check;
  const wrongDate = dateProblem('the certificate', identity, at);
  if (wrongDate !== undefined) return { ok: false, detail: wrongDate, untimely: true };
  const domain = trustDomainOf(identity.spiffeId);
  let detail = `there is no root of the trust domain ${domain}`;
  let untimely = false;
  for (const root of roots) {
    const facts = factsOf(root);
    if (facts?.trustDomain !== domain) continue;
    const rootDate = dateProblem('the root', facts, at);
    untimely = rootDate !== undefined;
    if (rootDate !== undefined) detail = rootDate;
    else if (isIssuedBy({ leaf, identity, root, facts, at })) {
      return { ok: true, identity: { ...identity, issuer: facts.thumbprint }, root };
    } else detail = `no root of the trust domain ${domain} issued the certificate`;
  }
  return { ok: false, detail, untimely };
}

/**
 * The root that issued an SVID, as base64url SHA-256, whatever the dates say; `undefined`: none of these, or it is none
 * of its own domain.
 */
export function issuerOf({ leaf, roots }: Omit<ChainQuestion, 'at'>): string | undefined {
  const check = checkPeerCertificate(leaf);
  if (!check.ok) return undefined;
  const { identity } = check;
  for (const root of roots) {
    const facts = factsOf(root);
    if (facts?.trustDomain !== trustDomainOf(identity.spiffeId)) continue;
    if (isIssuedBy({ leaf, identity, root, facts })) return facts.thumbprint;
  }
  return undefined;
}

/**
 * Checks a root before it is trusted: CA that signs certificates, issued by itself, and named after exactly this
 * domain.
 *
 * @throws MeshError `CERTIFICATE_INVALID`
 */
export function assertRoot(root: X509Certificate, trustDomain: TrustDomain): void {
  const facts = factsOf(root);
  if (facts === undefined || !root.checkIssued(root) || !root.verify(root.publicKey)) {
    throw new MeshError('CERTIFICATE_INVALID', 'not a root certificate: it is no authority or not issued by itself');
  }
  if (facts.trustDomain !== trustDomain) {
    throw new MeshError('CERTIFICATE_INVALID', `the root is of the trust domain ${facts.trustDomain}`);
  }
}

interface IssuerQuestion extends Pick<ChainQuestion, 'leaf'> {
  readonly identity: PeerIdentity;
  readonly root: X509Certificate;
  readonly facts: RootFacts;
  /** Milliseconds since the epoch; what had ended by then is forgotten. Default: nothing is. */
  readonly at?: number;
}

function isIssuedBy({ leaf, identity, root, facts, at }: IssuerQuestion): boolean {
  const key = `${identity.thumbprint}.${facts.thumbprint}`;
  if (verified.get(key) !== undefined) return true;
  const certificate = leaf instanceof Uint8Array ? asX509(leaf) : leaf;
  if (certificate === undefined || !certificate.checkIssued(root) || !certificate.verify(root.publicKey)) return false;
  if (at !== undefined) forgetEnded(at);
  verified.set(key, { notAfter: identity.notAfter });
  return true;
}

/** Only when something new was verified, which costs many times more. A clock that is off makes us verify again. */
function forgetEnded(at: number): void {
  verified.forget(({ notAfter }) => notAfter < at);
  forgetEndedCertificates(at);
}

function asX509(der: Uint8Array): X509Certificate | undefined {
  try {
    return readX509(der);
  } catch (error) {
    if (error instanceof MeshError) return undefined;
    throw error;
  }
}

/** `undefined` for whatever is no root of a trust domain. */
function factsOf(root: X509Certificate): RootFacts | undefined {
  const known = rootFacts.get(root);
  if (known !== undefined) return known;
  const facts = readFacts(root);
  if (facts !== undefined) rootFacts.set(root, facts);
  return facts;
}

const ROOT_NAME = /^spiffe:\/\/([a-z0-9._-]{1,255})$/;

function readFacts(root: X509Certificate): RootFacts | undefined {
  try {
    const { isCa, keyUsage = 0, uris, notBefore, notAfter } = readCertificateFields(root.raw);
    const trustDomain = ROOT_NAME.exec(uris[0] ?? '')?.[1];
    if (!isCa || (keyUsage & KEY_USAGE.keyCertSign) === 0) return undefined;
    if (uris.length !== 1 || trustDomain === undefined) return undefined;
    return { trustDomain, thumbprint: sha256Base64Url(root.raw), notBefore, notAfter };
  } catch (error) {
    if (error instanceof MeshError) return undefined;
    throw error;
  }
}

/** Names both times: a skewed clock must not look like an attack. */
function dateProblem(
  what: string,
  { notBefore, notAfter }: { readonly notBefore: number; readonly notAfter: number },
  at: number,
): string | undefined {
  const now = Number.isFinite(at) ? new Date(at).toISOString() : String(at);
  // Written so that NaN is refused, too.
  if (!(at >= notBefore)) return `${what} is valid from ${new Date(notBefore).toISOString()}, our clock says ${now}`;
  if (!(at <= notAfter)) return `${what} was valid until ${new Date(notAfter).toISOString()}, our clock says ${now}`;
  return undefined;
}
