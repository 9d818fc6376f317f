import type { KeyObject } from 'node:crypto';
import { isSpiffeId } from '../domain/agent-id.ts';
import type { JsonObject, JsonValue } from '../domain/canonical/strict-json.ts';
import { PROOF_TYPE } from '../domain/identity-token.ts';
import type { ProofClaims, Role } from '../domain/identity-token.ts';
import { choiceAt, integerAt, objectAt, ShapeError } from '../domain/json-shape.ts';
import { measurementToJson } from '../domain/measurement-json.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { hashAt, measurementAt } from './ait-claims.ts';
import { decodeCompact, signCompact, verifyCompact } from './compact-jws.ts';
import type { DecodedJws } from './compact-jws.ts';
import { assertP256, isP256 } from './keys.ts';

/** Longest compact form of a proof, in characters, which are bytes. */
export const MAX_PROOF_CHARS = 48 * 1024;

const RULES = { type: PROOF_TYPE, maxChars: MAX_PROOF_CHARS, withKeyId: false } as const;
const ROLES = ['dialler', 'acceptor'] as const satisfies readonly Role[];

export interface ProofToSign {
  readonly claims: ProofClaims;
  /** The private key of the SVID on this connection. */
  readonly key: KeyObject;
}

/**
 * Signs a proof of possession (compact JWS, ES256; header exactly `alg` and `typ`).
 *
 * @throws MeshError `KEY_INVALID`, `TOKEN_UNSIGNABLE`
 */
export function signProof({ claims, key }: ProofToSign): string {
  assertP256(key, 'private');
  const compact = signCompact({ type: PROOF_TYPE, payload: JSON.stringify(claimsToJson(claims)) }, key);
  if (compact.length > MAX_PROOF_CHARS) {
    throw new MeshError('TOKEN_UNSIGNABLE', `the proof has ${compact.length} bytes; readers take ${MAX_PROOF_CHARS}`);
  }
  return compact;
}

/** What a proof must say, as the checking side knows it by itself. `aud` is our own name, `role` the peer's role. */
export type ExpectedProof = Pick<ProofClaims, 'aud' | 'role' | 'seq' | 'nonce' | 'x5t' | 'ath'>;

export interface ProofQuestion {
  readonly compact: string;
  readonly expected: ExpectedProof;
  /** From the peer's certificate on this connection, never from the proof or the token. */
  readonly publicKey: KeyObject;
}

export type ProofCheck =
  { readonly ok: true; readonly claims: ProofClaims } | { readonly ok: false; readonly detail: string };

/**
 * Whether a proof was made by the key of the peer's certificate, for this connection, this token and this turn. Its
 * freshness lies in our nonce and in `seq`; `iat` is not judged. Whether its measurement is the token's is for
 * admission to say. The signature comes last, being the dearest. Fails closed.
 */
export function checkProof({ compact, expected, publicKey }: ProofQuestion): ProofCheck {
  let jws: DecodedJws;
  let claims: ProofClaims;
  try {
    jws = decodeCompact(compact, RULES);
    claims = parseClaims(jws.payload);
  } catch (error) {
    if (error instanceof ShapeError) return refuse(`the proof is malformed: ${error.message}`);
    throw error;
  }
  const difference = findDifference(claims, expected);
  if (difference !== undefined) return refuse(`the proof is not for this turn of this connection: ${difference}`);
  if (publicKey.type !== 'public' || !isP256(publicKey)) return refuse("the certificate's key is not EC P-256");
  if (!verifyCompact(jws, publicKey)) return refuse("the proof was not signed by the certificate's key");
  return { ok: true, claims };
}

const PAIR = ['dialler', 'acceptor'] as const;

function findDifference(claims: ProofClaims, expected: ExpectedProof): string | undefined {
  if (claims.aud !== expected.aud) return 'aud is another peer';
  if (claims.role !== expected.role) return `role is ${claims.role}`;
  if (claims.seq !== expected.seq) return `seq is ${claims.seq}, expected ${expected.seq}`;
  for (const side of PAIR) {
    if (claims.nonce[side] !== expected.nonce[side]) return `nonce.${side} differs`;
    if (claims.x5t[side] !== expected.x5t[side]) return `x5t.${side} is another certificate`;
  }
  return claims.ath === expected.ath ? undefined : 'ath is another token';
}

function parseClaims(value: JsonValue): ProofClaims {
  const claims = objectAt(value, 'claims', {
    required: ['aud', 'iat', 'role', 'seq', 'nonce', 'x5t', 'ath', 'measurement'],
  });
  const aud = claims['aud'];
  if (!isSpiffeId(aud)) throw new ShapeError('aud', 'not a SPIFFE ID');
  return {
    aud,
    iat: integerAt(claims['iat'], 'iat'),
    role: choiceAt(claims['role'], 'role', ROLES),
    seq: integerAt(claims['seq'], 'seq'),
    nonce: pairAt(claims['nonce'], 'nonce'),
    x5t: pairAt(claims['x5t'], 'x5t'),
    ath: hashAt(claims['ath'], 'ath'),
    measurement: measurementAt(claims['measurement'], 'measurement'),
  };
}

function pairAt(value: JsonValue | undefined, path: string): ProofClaims['nonce'] {
  const pair = objectAt(value, path, { required: PAIR });
  return {
    dialler: hashAt(pair['dialler'], `${path}.dialler`),
    acceptor: hashAt(pair['acceptor'], `${path}.acceptor`),
  };
}

function claimsToJson({ aud, iat, role, seq, nonce, x5t, ath, measurement }: ProofClaims): JsonObject {
  return {
    aud,
    iat,
    role,
    seq,
    nonce: { dialler: nonce.dialler, acceptor: nonce.acceptor },
    x5t: { dialler: x5t.dialler, acceptor: x5t.acceptor },
    ath,
    measurement: measurementToJson(measurement),
  };
}

function refuse(detail: string): ProofCheck {
  return { ok: false, detail };
}
