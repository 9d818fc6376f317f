import type { KeyObject } from 'node:crypto';
import { canonicalizeJson } from '../domain/canonical/jcs.ts';
import { sha256Digest, type Digest } from '../domain/canonical/digest.ts';
import type { JsonValue } from '../domain/canonical/strict-json.ts';
import {
  EVIDENCE_FORMATS,
  EVIDENCE_TYPE,
  evidenceClaimsToJson,
  parseEvidenceClaims,
  type EvidenceClaims,
  type EvidenceFormat,
  type InferenceService,
} from '../domain/inference/evidence.ts';
import { anyObjectAt, choiceAt, ShapeError } from '../domain/json-shape.ts';
import { rejection, type Rejection } from '../domain/rejection.ts';
import { decodeCompact, signCompact, verifyCompact, type DecodedJws } from './compact-jws.ts';
import { checkEvidenceChain } from './evidence-chain.ts';
import { assertP256 } from './keys.ts';

/** Longest compact form of evidence, in characters, which are bytes. */
export const MAX_EVIDENCE_CHARS = 32 * 1024;

const RULES = { type: EVIDENCE_TYPE, maxChars: MAX_EVIDENCE_CHARS, withKeyId: false, withChain: true } as const;

/** How old evidence may be by our clock, and how far ahead of it; ms. The nonce says more; this catches a slow answer. */
export const EVIDENCE_MAX_AGE_MS = 60_000;
export const EVIDENCE_MAX_AHEAD_MS = 30_000;

export interface EvidenceToSign {
  readonly claims: EvidenceClaims;
  /** The (simulated) hardware's private key, EC P-256. */
  readonly key: KeyObject;
  /** Its certificate, then the root; DER. */
  readonly chain: readonly Uint8Array[];
}

/** Signs evidence (compact JWS, ES256, `x5c` in the header). @throws MeshError `KEY_INVALID` */
export function signEvidence({ claims, key, chain }: EvidenceToSign): string {
  assertP256(key, 'private');
  return signCompact({ type: EVIDENCE_TYPE, chain, payload: canonicalizeJson(evidenceClaimsToJson(claims)) }, key);
}

/** SHA-256 of the DER of a public key (SPKI): what binds evidence to the connection it came on. */
export function tlsKeyDigest(publicKey: KeyObject): Digest {
  return sha256Digest(publicKey.export({ format: 'der', type: 'spki' }));
}

/** What the verifying side knows by itself. */
export interface ExpectedEvidence {
  /** The nonce that it sent for this very answer, 32 random bytes in base64url. */
  readonly nonce: string;
  /** {@link tlsKeyDigest} of the key in the certificate that the service showed on this connection. */
  readonly tlsKey: Digest;
  /** What policy approves. */
  readonly service: InferenceService;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export type EvidenceCheck =
  { readonly ok: true; readonly claims: EvidenceClaims } | { readonly ok: false; readonly rejection: Rejection };

/** How one form of evidence proves that its claims are the hardware's. */
type FormatVerifier = (jws: DecodedJws, expected: ExpectedEvidence) => EvidenceClaims | Rejection;

const VERIFIERS = { 'ait-sim-1': verifySimulated } as const satisfies Record<EvidenceFormat, FormatVerifier>;

/**
 * Whether a service has proven, just now and for this very connection, that it runs what policy approves. The first
 * thing that is wrong is the reason, in this order: form → chain and signature → nonce and time → key → simulated →
 * measurement. Fails closed, also on a policy that approves nothing.
 */
export function checkEvidence(compact: string, expected: ExpectedEvidence): EvidenceCheck {
  const verified = verifyEvidence(compact, expected);
  const problem = 'code' in verified ? verified : claimsProblem(verified, expected);
  return problem === undefined ? { ok: true, claims: verified as EvidenceClaims } : { ok: false, rejection: problem };
}

function verifyEvidence(compact: string, expected: ExpectedEvidence): EvidenceClaims | Rejection {
  try {
    const jws = decodeCompact(compact, RULES);
    return VERIFIERS[formatOf(jws.payload)](jws, expected);
  } catch (error) {
    if (error instanceof ShapeError) return rejection('EVIDENCE_MALFORMED', error.message);
    throw error;
  }
}

/** @throws ShapeError for a form that is not known here */
function formatOf(payload: JsonValue): EvidenceFormat {
  return choiceAt(anyObjectAt(payload, 'claims')['format'], 'format', EVIDENCE_FORMATS);
}

/** `ait-sim-1`: a JWS of a key whose certificate hangs directly on an approved root that says SIMULATED. @throws ShapeError */
function verifySimulated(jws: DecodedJws, { service, now }: ExpectedEvidence): EvidenceClaims | Rejection {
  const claims = parseEvidenceClaims(jws.payload);
  const chain = checkEvidenceChain(jws.chain, { roots: service.evidenceRoots, now });
  if (!chain.ok) {
    const { detail, clocks } = chain;
    return rejection('EVIDENCE_NOT_TRUSTED', detail, clocks === undefined ? {} : { clocks });
  }
  if (!verifyCompact(jws, chain.publicKey)) {
    return rejection('EVIDENCE_NOT_TRUSTED', 'the signature does not verify with the key in its own certificate');
  }
  return claims;
}

function claimsProblem(claims: EvidenceClaims, expected: ExpectedEvidence): Rejection | undefined {
  const { nonce, tlsKey, service, now } = expected;
  if (claims.nonce !== nonce) return rejection('EVIDENCE_STALE', 'the evidence answers another nonce than ours');
  const ageMs = now - claims.iat * 1000;
  // Written so that NaN is refused, too.
  if (!(ageMs <= EVIDENCE_MAX_AGE_MS && ageMs >= -EVIDENCE_MAX_AHEAD_MS)) {
    const theirs = claims.iat * 1000;
    const [made, ours] = [theirs, now].map(timeText);
    return rejection('EVIDENCE_STALE', `the evidence was made at ${made}, our clock says ${ours}`, {
      clocks: { ours: now, theirs, what: 'time of the evidence' },
    });
  }
  if (claims.tls_key !== tlsKey) {
    const detail = `the evidence is for the TLS key ${claims.tls_key}, this connection has ${tlsKey}`;
    return rejection('EVIDENCE_KEY_MISMATCH', detail);
  }
  if (!service.acceptSimulatedEvidence) {
    return rejection('EVIDENCE_SIMULATED', `policy for ${service.id} does not accept simulated evidence`);
  }
  if (!service.measurements.includes(claims.measurement)) {
    const approved = service.measurements.join(', ');
    return rejection('EVIDENCE_MEASUREMENT_UNKNOWN', `measured ${claims.measurement}, approved: ${approved}`);
  }
  return undefined;
}

/** Whatever number a peer signed. */
function timeText(at: number): string {
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at);
}
