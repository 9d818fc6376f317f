import type { KeyObject } from 'node:crypto';
import { CompactSign } from 'jose/jws/compact/sign';
import { trustDomainOf } from '../domain/agent-id.ts';
import { JcsError, canonicalizeJson } from '../domain/canonical/jcs.ts';
import { parseStrictJson } from '../domain/canonical/strict-json.ts';
import { AIT_TYPE } from '../domain/identity-token.ts';
import type { AitClaims } from '../domain/identity-token.ts';
import { ShapeError } from '../domain/json-shape.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { aitClaimsToJson, MAX_AIT_CHARS, parseAitClaims } from './ait-claims.ts';
import { ES256, isKeyId } from './compact-jws.ts';
import { assertP256 } from './keys.ts';

export interface AitToSign {
  readonly claims: AitClaims;
  /** The authority's private EC P-256 key. */
  readonly key: KeyObject;
  /** By convention the key's JWK thumbprint (RFC 7638); 1 to 128 characters of base64url. */
  readonly keyId: string;
}

/**
 * Signs an Agent Identity Token (compact JWS, ES256; header exactly `alg`, `typ`, `kid`; RFC 8785 payload). What the
 * verifier would refuse is not signed in the first place.
 *
 * @throws MeshError `KEY_INVALID`, `TOKEN_UNSIGNABLE`
 */
export async function signAit({ claims, key, keyId }: AitToSign): Promise<string> {
  assertP256(key, 'private');
  if (!isKeyId(keyId)) throw new MeshError('TOKEN_UNSIGNABLE', 'the key id has characters that readers refuse');
  const compact = await new CompactSign(Buffer.from(writeClaims(claims)))
    .setProtectedHeader({ alg: ES256, typ: AIT_TYPE, kid: keyId })
    .sign(key);
  if (compact.length > MAX_AIT_CHARS) {
    throw new MeshError('TOKEN_UNSIGNABLE', `the token has ${compact.length} bytes; readers take ${MAX_AIT_CHARS}`, {
      hint: 'give the agent fewer tools, or split it',
    });
  }
  return compact;
}

function writeClaims(claims: AitClaims): string {
  try {
    const payload = canonicalizeJson(aitClaimsToJson(claims));
    const { iss, sub } = parseAitClaims(parseStrictJson(payload));
    if (iss !== `spiffe://${trustDomainOf(sub)}`) throw new ShapeError('sub', 'not of the trust domain in iss');
    return payload;
  } catch (cause) {
    if (!(cause instanceof ShapeError || cause instanceof JcsError)) throw cause;
    throw new MeshError('TOKEN_UNSIGNABLE', `the claims are no AIT: ${cause.message}`, { cause });
  }
}
