import { hash, type KeyObject } from 'node:crypto';
import { canonicalizeJson, JcsError } from '../domain/canonical/jcs.ts';
import type { JsonValue } from '../domain/canonical/strict-json.ts';
import { ShapeError } from '../domain/json-shape.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { decodeCompact, isKeyId, signCompact, verifyCompact } from './compact-jws.ts';
import type { DecodedJws } from './compact-jws.ts';
import { assertP256, isP256 } from './keys.ts';

/** JOSE `typ` of one object of the authority's state, and of the head that lists them. */
export type SignedObjectType = 'ait-object+jwt' | 'ait-head+jwt';

/** Longest compact form of an object or a head, in characters, which are bytes. */
export const MAX_SIGNED_OBJECT_CHARS = 1024 * 1024;

export interface ObjectToSign {
  readonly type: SignedObjectType;
  readonly payload: JsonValue;
  /** The authority's private state key, EC P-256. */
  readonly key: KeyObject;
  /** 1 to 128 characters of base64url. */
  readonly keyId: string;
}

/**
 * Signs one piece of the authority's state (compact JWS, ES256, payload in RFC 8785 form).
 *
 * @throws MeshError `KEY_INVALID`, `TOKEN_UNSIGNABLE`
 */
export function signObject({ type, payload, key, keyId }: ObjectToSign): string {
  assertP256(key, 'private');
  if (!isKeyId(keyId)) throw new MeshError('TOKEN_UNSIGNABLE', 'the key id has characters that readers refuse');
  const compact = signCompact({ type, keyId, payload: writePayload(payload) }, key);
  if (compact.length > MAX_SIGNED_OBJECT_CHARS) {
    throw new MeshError('TOKEN_UNSIGNABLE', `the object has ${compact.length} bytes`, {
      hint: `readers take ${MAX_SIGNED_OBJECT_CHARS}`,
    });
  }
  return compact;
}

export interface ObjectQuestion {
  readonly compact: string;
  readonly type: SignedObjectType;
  /** The state key that the authority published under this id. */
  readonly keyFor: (keyId: string) => KeyObject | undefined;
}

export type ObjectCheck =
  | { readonly ok: true; readonly payload: JsonValue; readonly keyId: string }
  | { readonly ok: false; readonly detail: string };

/** Whether the authority signed this piece of state, in exactly this form and as this type. Fails closed. */
export function verifyObject({ compact, type, keyFor }: ObjectQuestion): ObjectCheck {
  let jws: DecodedJws;
  try {
    jws = decodeCompact(compact, { type, maxChars: MAX_SIGNED_OBJECT_CHARS, withKeyId: true });
  } catch (error) {
    if (error instanceof ShapeError) return { ok: false, detail: `malformed: ${error.message}` };
    throw error;
  }
  const { keyId, payload, payloadBytes } = jws;
  const key = keyFor(keyId);
  if (key === undefined) return { ok: false, detail: `the state key ${keyId} is not known` };
  if (key.type !== 'public' || !isP256(key)) return { ok: false, detail: `the state key ${keyId} is not EC P-256` };
  if (!verifyCompact(jws, key))
    return { ok: false, detail: `the signature does not verify with the state key ${keyId}` };
  // After the signature: with it, this can only be a fault of the authority, and hashes of objects rely on the form.
  if (!payloadBytes.equals(Buffer.from(canonicalizeJson(payload)))) {
    return { ok: false, detail: 'the payload is not in its canonical form' };
  }
  return { ok: true, payload, keyId };
}

/**
 * An object that a verified head lists. Its digest in the head says of it all that its own signature would, and costs a
 * tenth; the signature is for whoever has the object alone. Fails closed: what is not listed is refused.
 *
 * @param listed digests of objects, in lowercase hexadecimal
 */
export function readListedObject(compact: string, listed: ReadonlySet<string>): ListedObject {
  try {
    const rules = { type: 'ait-object+jwt', maxChars: MAX_SIGNED_OBJECT_CHARS, withKeyId: true };
    const { payload, payloadBytes } = decodeCompact(compact, rules);
    // Over the bytes as they came: in another form than RFC 8785's they have another digest.
    const digest = hash('sha256', payloadBytes, 'hex');
    return listed.has(digest) ? { ok: true, digest, payload } : { ok: false, detail: 'the head does not list it' };
  } catch (error) {
    if (error instanceof ShapeError) return { ok: false, detail: `malformed: ${error.message}` };
    throw error;
  }
}

export type ListedObject =
  | { readonly ok: true; readonly digest: string; readonly payload: JsonValue }
  | { readonly ok: false; readonly detail: string };

function writePayload(payload: JsonValue): string {
  try {
    return canonicalizeJson(payload);
  } catch (cause) {
    if (!(cause instanceof JcsError)) throw cause;
    throw new MeshError('TOKEN_UNSIGNABLE', `the payload is not JSON: ${cause.message}`, { cause });
  }
}
