import type { KeyObject } from 'node:crypto';
import { VOUCHER_TYPE } from '../domain/identity-token.ts';
import type { Role, VoucherClaims } from '../domain/identity-token.ts';
import { choiceAt, objectAt, ShapeError, stringAt } from '../domain/json-shape.ts';
import { hashAt } from './ait-claims.ts';
import { decodeCompact, signCompact, verifyCompact } from './compact-jws.ts';
import { assertP256, isP256 } from './keys.ts';

/** Longest compact form of a voucher, in characters, which are bytes. */
export const MAX_VOUCHER_CHARS = 1024;

const RULES = { type: VOUCHER_TYPE, maxChars: MAX_VOUCHER_CHARS, withKeyId: false } as const;
const ROLES = ['dialler', 'acceptor'] as const satisfies readonly Role[];
const SESSION_ID = /^[0-9a-f]{32}$/;

/**
 * Signs that the holder of one certificate goes on as the holder of another, in one session and one role (compact JWS,
 * ES256; header exactly `alg` and `typ`).
 *
 * @param key the private key of the certificate `from`
 * @throws MeshError `KEY_INVALID`
 */
export function signVoucher(claims: VoucherClaims, key: KeyObject): string {
  assertP256(key, 'private');
  const { sid, role, from, to } = claims;
  return signCompact({ type: VOUCHER_TYPE, payload: JSON.stringify({ sid, role, from, to }) }, key);
}

export interface VoucherQuestion {
  readonly compact: string;
  /** All of it is known to the checking side by itself. */
  readonly expected: VoucherClaims;
  /** Of the certificate that the peer last showed in the session. */
  readonly publicKey: KeyObject;
}

/** Why the old key does not vouch for the new certificate; `undefined`: it does. Fails closed. */
export function voucherProblem({ compact, expected, publicKey }: VoucherQuestion): string | undefined {
  try {
    const jws = decodeCompact(compact, RULES);
    const claims = objectAt(jws.payload, 'claims', { required: ['sid', 'role', 'from', 'to'] });
    const said: VoucherClaims = {
      sid: stringAt(claims['sid'], 'sid', SESSION_ID, 'a session id'),
      role: choiceAt(claims['role'], 'role', ROLES),
      from: hashAt(claims['from'], 'from'),
      to: hashAt(claims['to'], 'to'),
    };
    for (const name of ['sid', 'role', 'from', 'to'] as const) {
      if (said[name] !== expected[name]) return `the voucher is for something else: ${name} differs`;
    }
    if (publicKey.type !== 'public' || !isP256(publicKey)) return "the certificate's key is not EC P-256";
    return verifyCompact(jws, publicKey)
      ? undefined
      : 'the voucher was not signed by the key of the certificate before';
  } catch (error) {
    if (error instanceof ShapeError) return `the voucher is malformed: ${error.message}`;
    throw error;
  }
}
