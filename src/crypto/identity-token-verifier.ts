import type { KeyObject } from 'node:crypto';
import { trustDomainOf } from '../domain/agent-id.ts';
import { AIT_TYPE } from '../domain/identity-token.ts';
import type { AitClaims, UnverifiedToken, VerifiedToken } from '../domain/identity-token.ts';
import { ShapeError } from '../domain/json-shape.ts';
import { rejection } from '../domain/rejection.ts';
import type { Rejection } from '../domain/rejection.ts';
import { MAX_AIT_CHARS, parseAitClaims } from './ait-claims.ts';
import { BoundedCache } from './bounded-cache.ts';
import { decodeCompact, verifyCompact } from './compact-jws.ts';
import type { DecodedJws } from './compact-jws.ts';
import { isP256, sha256Base64Url } from './keys.ts';

export interface AitVerifierOptions {
  /**
   * The public key that this very issuer published under this id. Never look up by `kid` alone: it is the sender's
   * choice, and another domain's key must not vouch for our names.
   */
  readonly keyFor: (issuer: string, keyId: string) => KeyObject | undefined;
  /** Verified tokens to remember at most; default 1024, about 4 KB each. Those that have ended are forgotten before. */
  readonly maxCached?: number;
}

export interface AitVerifier {
  /**
   * Verifies form, issuer and signature, and nothing that changes with time or peer: whoever uses the result checks
   * dates, audience, binding and revocation, each time, also on a cached token. Codes: `AIT_MALFORMED`,
   * `AIT_ISSUER_UNKNOWN`, `AIT_SIGNATURE_INVALID`. Fails closed.
   */
  verify(token: UnverifiedToken): Promise<VerifiedToken | Rejection>;
  /** As `verify`, for a token that is in the cache: no waiting, a few microseconds. Else `undefined`. */
  verifyCached(token: UnverifiedToken): VerifiedToken | undefined;
  /** Forgets every verified token. Call it on any change of the trust bundle, before the next `verify`. */
  flush(): void;
}

export function isVerifiedToken(result: VerifiedToken | Rejection): result is VerifiedToken {
  return 'claims' in result;
}

const RULES = { type: AIT_TYPE, maxChars: MAX_AIT_CHARS, withKeyId: true } as const;

export function createAitVerifier({ keyFor, maxCached = 1024 }: AitVerifierOptions): AitVerifier {
  // By SHA-256 of the token, successes only. The hash is over UTF-8, but no token with a character outside ASCII is
  // ever verified, so nothing else hashes like a good one.
  const cache = new BoundedCache<VerifiedToken>(maxCached);
  let generation = 0;

  const verifyCached = ({ compact }: UnverifiedToken): VerifiedToken | undefined =>
    compact.length > MAX_AIT_CHARS ? undefined : cache.get(sha256Base64Url(compact));

  const verify = async (token: UnverifiedToken): Promise<VerifiedToken | Rejection> => {
    const known = verifyCached(token);
    if (known !== undefined) return known;
    const startedIn = generation;
    const result = await verifyAnew(token, keyFor);
    // The bundle changed before the caller could see the result: the key may have been taken out of it.
    if (startedIn !== generation) return verify(token);
    if (isVerifiedToken(result)) {
      // Time is not ours to tell here, but the issuer's word is good for it: what had ended when this token was made has
      // ended. Too early a word costs another verification.
      cache.forget(({ claims }) => claims.exp < result.claims.iat);
      cache.set(result.hash, result);
    }
    return result;
  };

  return {
    verify,
    verifyCached,
    flush() {
      generation++;
      cache.clear();
    },
  };
}

/** The signature is checked in this turn, not in a worker thread: a trip there costs twice the check itself. */
async function verifyAnew(
  { compact }: UnverifiedToken,
  keyFor: AitVerifierOptions['keyFor'],
): Promise<VerifiedToken | Rejection> {
  const parsed = parseAit(compact);
  if ('code' in parsed) return parsed;
  const { claims, keyId, jws } = parsed;
  if (claims.iss !== `spiffe://${trustDomainOf(claims.sub)}`) {
    return rejection('AIT_ISSUER_UNKNOWN', `${claims.iss} does not speak for ${claims.sub}`);
  }
  const key = keyFor(claims.iss, keyId);
  if (key === undefined) return rejection('AIT_ISSUER_UNKNOWN', `${claims.iss} has no known key ${keyId}`);
  if (key.type !== 'public' || !isP256(key)) {
    return rejection('AIT_ISSUER_UNKNOWN', `the key ${keyId} of ${claims.iss} is not a public EC P-256 key`);
  }
  if (!verifyCompact(jws, key)) {
    return rejection('AIT_SIGNATURE_INVALID', `the signature does not verify with the key ${keyId} of ${claims.iss}`);
  }
  return { claims, keyId, hash: sha256Base64Url(compact) };
}

interface ParsedAit {
  readonly claims: AitClaims;
  readonly keyId: string;
  readonly jws: DecodedJws;
}

function parseAit(compact: string): ParsedAit | Rejection {
  try {
    const jws = decodeCompact(compact, RULES);
    return { claims: parseAitClaims(jws.payload), keyId: jws.keyId, jws };
  } catch (error) {
    if (error instanceof ShapeError) return rejection('AIT_MALFORMED', error.message);
    throw error;
  }
}
