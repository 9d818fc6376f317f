import type { SpiffeId, TrustDomain } from './agent-id.ts';
import type { Measurement } from './measurement.ts';

/** JOSE `typ` of an Agent Identity Token, of the proof that goes with it, and of what joins two certificates. */
export const AIT_TYPE = 'ait+jwt';
export const PROOF_TYPE = 'ait-proof+jwt';
export const VOUCHER_TYPE = 'ait-voucher+jwt';

/**
 * RFC 9711 profile. `AIT` is not a name of ours alone: a token is one of ours only with our issuer *and* this profile.
 */
export const AIT_PROFILE = 'tag:ait-mesh.dev,2026:ait-1';

/** A compact JWS that nobody has looked at yet. */
export interface UnverifiedToken {
  readonly compact: string;
}

/** Seconds since the epoch, as in RFC 7519 `NumericDate`. */
export type NumericDate = number;

/** The public half of an SVID key, as it stands in `cnf.jwk` (RFC 7800). */
export interface ConfirmationKey {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly alg: 'ES256';
}

/** What the authority signs (RFC 7519, RFC 7800, RFC 8705 section 3.1, RFC 9711). */
export interface AitClaims {
  readonly iss: string;
  readonly sub: SpiffeId;
  readonly aud: readonly TrustDomain[];
  readonly iat: NumericDate;
  readonly nbf: NumericDate;
  readonly exp: NumericDate;
  readonly jti: string;
  readonly cnf: { readonly 'x5t#S256': string; readonly jwk: ConfirmationKey };
  readonly eat_profile: typeof AIT_PROFILE;
  readonly agent: AgentClaim;
}

export interface AgentClaim {
  /** The instance's id, given by the authority at join. */
  readonly instance: string;
  /** The accountable human as an opaque subject identifier (RFC 9493); the authority knows the person. */
  readonly sponsor: { readonly format: 'opaque'; readonly id: string };
  readonly measurement: Measurement;
}

/** A token whose form, signature and issuer were verified; whether it fits the peer is for admission to say. */
export interface VerifiedToken {
  readonly claims: AitClaims;
  readonly keyId: string;
  /** base64url SHA-256 of the compact form, the `ath` of a proof (as in RFC 9449). */
  readonly hash: string;
}

/** Which end of a control connection a proof speaks for. */
export type Role = 'dialler' | 'acceptor';

/** What the SVID's key signs: possession, this very connection, and the measurement taken now. */
export interface ProofClaims {
  /** The peer's SPIFFE ID. */
  readonly aud: SpiffeId;
  readonly iat: NumericDate;
  readonly role: Role;
  /** 0 at the exchange, then one more for each proof of the connection. */
  readonly seq: number;
  /** base64url; the dialler's and the acceptor's 32 random bytes. */
  readonly nonce: { readonly dialler: string; readonly acceptor: string };
  /** base64url SHA-256 of both certificates, as in RFC 8705. */
  readonly x5t: { readonly dialler: string; readonly acceptor: string };
  /** base64url SHA-256 of the AIT that this proof goes with. */
  readonly ath: string;
  readonly measurement: Measurement;
}

/** What the key of one certificate signs for the next: whoever shows that one goes on in this session. */
export interface VoucherClaims {
  /** The session, 32 hexadecimal digits. */
  readonly sid: string;
  /** Which end of the session the signer is. */
  readonly role: Role;
  /** base64url SHA-256 of the certificate whose key signs, and of the one that it vouches for. */
  readonly from: string;
  readonly to: string;
}
