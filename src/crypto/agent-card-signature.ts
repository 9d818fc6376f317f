import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { JsonError, parseStrictJsonBytes, type JsonObject, type JsonValue } from '../domain/canonical/strict-json.ts';
import type { CardSignature } from '../domain/a2a/card-signature.ts';
import { anyObjectAt, arrayAt, objectAt, ShapeError, stringAt } from '../domain/json-shape.ts';

/** Public keys that may sign an agent's card, by key id. Never empty. */
export type CardKeys = ReadonlyMap<string, KeyObject>;

export type CardSignatureCheck =
  | { readonly ok: true; readonly keyId: string }
  | {
      readonly ok: false;
      /** `unknown_key`: no signature names a key that is known. `invalid`: one does, and does not hold. */
      readonly why: 'unknown_key' | 'invalid';
      /** One line, safe for logs. */
      readonly detail: string;
    };

const MAX_KEYS = 32;
const MAX_HEADER_CHARS = 8192;
const MIN_RSA_BITS = 2048;
const KEY_ID = /^[\x21-\x7e]{1,256}$/;
const ALGORITHM = /^[A-Za-z0-9]{1,16}$/;
/** Members that only a private or a symmetric key has (RFC 7518, section 6). */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
/** Members of a protected header; any other one would have to be understood to know what it changes. */
const HEADER_MEMBERS = ['typ', 'cty', 'jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'iat', 'exp', 'nbf', 'iss', 'sub'];

interface Algorithm {
  readonly hash: string | null;
  readonly takes: (key: KeyObject) => boolean;
}

/** Signatures with a public key, and nothing else (RFC 7518, section 3.1; RFC 8037): `none` and HMAC have no row. */
const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['ES256', { hash: 'sha256', takes: isOnCurve('prime256v1') }],
  ['ES384', { hash: 'sha384', takes: isOnCurve('secp384r1') }],
  ['ES512', { hash: 'sha512', takes: isOnCurve('secp521r1') }],
  ['RS256', { hash: 'sha256', takes: isRsa }],
  ['RS384', { hash: 'sha384', takes: isRsa }],
  ['RS512', { hash: 'sha512', takes: isRsa }],
  ['EdDSA', { hash: null, takes: isEd25519 }],
  ['Ed25519', { hash: null, takes: isEd25519 }],
]);

/**
 * Reads a JWK Set (RFC 7517) of public keys, each with a `kid` of its own. A private key in it is refused: it should not
 * lie where many read.
 *
 * @throws ShapeError
 */
export function readCardKeys(json: JsonValue): CardKeys {
  const { keys } = objectAt(json, 'jwks', { required: ['keys'] });
  const known = new Map<string, KeyObject>();
  for (const [index, entry] of arrayAt(keys, 'jwks.keys', { min: 1, max: MAX_KEYS }).entries()) {
    const at = `jwks.keys[${index}]`;
    const jwk = anyObjectAt(entry, at);
    const keyId = stringAt(jwk['kid'], `${at}.kid`, KEY_ID, 'a key id of 1 to 256 printable characters');
    if (known.has(keyId)) throw new ShapeError(`${at}.kid`, 'another key has the same');
    if (PRIVATE.some((member) => Object.hasOwn(jwk, member))) throw new ShapeError(at, 'not a public key');
    known.set(keyId, publicKey(jwk, at));
  }
  return known;
}

function publicKey(jwk: JsonObject, at: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    throw new ShapeError(at, 'not a key that can be read');
  }
  if ([...ALGORITHMS.values()].some(({ takes }) => takes(key))) return key;
  throw new ShapeError(at, `not EC P-256, P-384 or P-521, Ed25519, or RSA of at least ${MIN_RSA_BITS} bits`);
}

/**
 * Whether a card is signed by a key that is known. Every signature that names such a key must hold, in one of the forms,
 * and there must be one; others are for other readers. Keys come from `keys` alone: what a header says of where to get
 * one (`jku`, `jwk`, `x5c` …) is not followed. Fails closed.
 *
 * @param forms the texts that may have been signed
 */
export function checkCardSignatures(
  signatures: readonly CardSignature[],
  { forms, keys }: { readonly forms: readonly string[]; readonly keys: CardKeys },
): CardSignatureCheck {
  let holds: string | undefined;
  for (const [index, signature] of signatures.entries()) {
    const at = `signatures[${index}]`;
    const header = readHeader(signature, at);
    if ('problem' in header) return { ok: false, why: 'invalid', detail: header.problem };
    const key = keys.get(header.keyId);
    if (key === undefined) continue;
    const algorithm = ALGORITHMS.get(header.algorithm);
    if (algorithm === undefined || !algorithm.takes(key)) {
      return { ok: false, why: 'invalid', detail: `${at}: the algorithm ${header.algorithm} is not one of its key` };
    }
    if (!forms.some((form) => isSignatureOf(form, { signature, key, hash: algorithm.hash }))) {
      return { ok: false, why: 'invalid', detail: `${at}: it is not a signature of this card by its key` };
    }
    holds ??= header.keyId;
  }
  if (holds !== undefined) return { ok: true, keyId: holds };
  return { ok: false, why: 'unknown_key', detail: 'no signature is by a key that is configured for this agent' };
}

type Header = { readonly keyId: string; readonly algorithm: string } | { readonly problem: string };

function readHeader({ protected: encoded }: CardSignature, at: string): Header {
  if (encoded.length > MAX_HEADER_CHARS) return { problem: `${at}.protected: too long` };
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.toString('base64url') !== encoded) return { problem: `${at}.protected: not canonical base64url` };
  try {
    const json = parseStrictJsonBytes(bytes, { maxDepth: 16 });
    // `crit` and `b64` are not among the members: both change what is signed, or how.
    const header = objectAt(json, `${at}.protected`, { required: ['alg', 'kid'], optional: HEADER_MEMBERS });
    return {
      keyId: stringAt(header['kid'], `${at}.protected.kid`, KEY_ID, 'a key id'),
      algorithm: stringAt(header['alg'], `${at}.protected.alg`, ALGORITHM, 'an algorithm'),
    };
  } catch (cause) {
    if (cause instanceof ShapeError) return { problem: cause.message };
    if (cause instanceof JsonError) return { problem: `${at}.protected: ${cause.message}` };
    throw cause;
  }
}

interface Signed {
  readonly signature: CardSignature;
  readonly key: KeyObject;
  readonly hash: string | null;
}

function isSignatureOf(form: string, { signature, key, hash }: Signed): boolean {
  const bytes = Buffer.from(signature.signature, 'base64url');
  if (bytes.toString('base64url') !== signature.signature) return false;
  const input = Buffer.from(`${signature.protected}.${Buffer.from(form).toString('base64url')}`, 'latin1');
  return verify(hash, input, { key, dsaEncoding: 'ieee-p1363' }, bytes);
}

function isOnCurve(curve: string): (key: KeyObject) => boolean {
  return (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === curve;
}

function isRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS;
}

function isEd25519(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ed25519';
}
