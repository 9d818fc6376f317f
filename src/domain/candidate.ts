/** What admission looks at: who asks, what they brought, and what it needs from the outside. */
import type { SpiffeId, TrustDomain } from './agent-id.ts';
import type { ProofClaims, UnverifiedToken, VerifiedToken } from './identity-token.ts';
import type { Measurement, ToolsDigest } from './measurement.ts';
import type { MeshState } from './mesh-state.ts';
import type { Rejection } from './rejection.ts';

/** What the TLS layer has established about the other end of the control connection. */
export interface CertificateFacts {
  readonly spiffeId: SpiffeId;
  /** base64url SHA-256 of the certificate in DER, as `x5t#S256` (RFC 8705). */
  readonly thumbprint: string;
  /** base64url SHA-256 of the root that issued it; empty where none that was trusted then did. */
  readonly issuer: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** Who asks for admission, and what they brought. */
export interface Candidate {
  /** `self`: a sidecar judging its own standing; no grant is needed for that. */
  readonly relation: 'dialled' | 'accepted' | 'self';
  /** The identity of the route, where we dialled, or our own, for `self`. */
  readonly expected: SpiffeId | undefined;
  readonly certificate: CertificateFacts;
  /** The instance id that the peer stated. */
  readonly instance: string;
  readonly token: UnverifiedToken;
  /** Compact JWS. */
  readonly proof: string;
  /** Where this continues what was admitted before, under another certificate: the baseline that it matched then. */
  readonly heldUnder?: string | undefined;
}

/** What is in the trust bundle of a domain at the moment of the call. A domain without a bundle has nothing. */
export interface TrustedKeys {
  /** By its key id. */
  readonly aitKey: (domain: TrustDomain, keyId: string) => boolean;
  /** By base64url SHA-256 of its certificate. */
  readonly root: (domain: TrustDomain, thumbprint: string) => boolean;
}

/** What admission needs from the outside. */
export interface AdmissionPorts {
  readonly self: SpiffeId;
  readonly acceptedTrustDomains: ReadonlySet<TrustDomain>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The state in force at the moment of the call; `undefined` before the first one arrived. */
  readonly state: () => MeshState | undefined;
  readonly trusts: TrustedKeys;
  readonly verifyToken: (token: UnverifiedToken) => Promise<VerifiedToken | Rejection> | VerifiedToken | Rejection;
  readonly checkProof: (proof: string, token: VerifiedToken) => ProofCheck;
  /**
   * The tools of an instance as its own answers to us have shown them, where they are not what it measures: in use beats at
   * rest. `undefined`: nothing of the kind was seen. Default: nothing ever is.
   */
  readonly toolsSeen?: (peer: SpiffeId, instance: string) => ToolsDigest | null | undefined;
}

export type ProofCheck =
  { readonly ok: true; readonly claims: ProofClaims } | { readonly ok: false; readonly detail: string };

/** What is known of an admitted peer, all of it verified. */
export interface Standing {
  readonly relation: Candidate['relation'];
  readonly certificate: CertificateFacts;
  readonly token: VerifiedToken;
  /** The newest proven measurement. */
  readonly measurement: Measurement;
  /** Since when the token has lagged behind the measurement, on our monotonic clock; `undefined`: it does not. */
  readonly tokenLagsSince?: number;
  /** Thumbprints of certificates that the same session showed before this one and that have not ended yet. */
  readonly earlier?: readonly string[];
}
