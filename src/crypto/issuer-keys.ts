import { compactVerify, createLocalJWKSet, errors, type JSONWebKeySet } from 'jose';
import { JsonError, parseStrictJson } from '../domain/canonical/strict-json.ts';
import { anyObjectAt, arrayAt, objectAt, ShapeError } from '../domain/json-shape.ts';
import type { ServiceAccountToken } from './service-account-token.ts';

/**
 * The algorithms with which Kubernetes signs, and which its discovery document may name. All are asymmetric: a shared
 * secret (`HS256`) would let the issuer's public key sign.
 */
export const TOKEN_ALGORITHMS: readonly string[] = ['RS256', 'ES256', 'ES384', 'ES512'];
const MAX_KEYS = 64;

export type SignatureVerdict = 'valid' | 'key_unknown' | 'invalid';

/** The keys that one issuer published. */
export interface IssuerKeys {
  /** Whether the token was signed by one of them: the one it names, by an algorithm of {@link TOKEN_ALGORITHMS}. */
  verify(token: ServiceAccountToken): Promise<SignatureVerdict>;
}

/**
 * Reads a JWK Set (RFC 7517 section 5). Fails closed: a set without keys is none.
 *
 * @throws ShapeError
 */
export function parseIssuerKeys(text: string): IssuerKeys {
  const keys = readKeys(text);
  const find = createLocalJWKSet({ keys } as unknown as JSONWebKeySet);
  return {
    async verify({ compact, keyId }) {
      // Without an id jose would take the only key there is; Kubernetes always names one.
      if (keyId === '') return 'key_unknown';
      try {
        await compactVerify(compact, find, { algorithms: [...TOKEN_ALGORITHMS] });
        return 'valid';
      } catch (error) {
        if (error instanceof errors.JWKSNoMatchingKey) return 'key_unknown';
        // Everything else, be it a forged signature, two keys of one id or a key too short to be safe, verifies nothing.
        return 'invalid';
      }
    },
  };
}

function readKeys(text: string): unknown {
  try {
    const set = objectAt(parseStrictJson(text, { maxDepth: 8 }), 'key set', { required: ['keys'], unknown: 'ignore' });
    const keys = arrayAt(set['keys'], 'keys', { min: 1, max: MAX_KEYS });
    // A copy with ordinary prototypes: jose clones what it is given.
    return keys.map((key, index) => ({ ...anyObjectAt(key, `keys[${index}]`) }));
  } catch (cause) {
    if (cause instanceof JsonError) throw new ShapeError('key set', cause.message);
    throw cause;
  }
}
