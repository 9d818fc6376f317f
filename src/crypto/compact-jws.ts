import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { JsonError, parseStrictJsonBytes } from '../domain/canonical/strict-json.ts';
import type { JsonValue } from '../domain/canonical/strict-json.ts';
import { objectAt, ShapeError, stringAt } from '../domain/json-shape.ts';

/** JWS `alg` of everything that this mesh signs (RFC 7518 section 3.4). */
export const ES256 = 'ES256';
const SIGNATURE_BYTES = 64;
const MAX_HEADER_CHARS = 512;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
/** No slash, dot or space: a key id is looked up, and must not be able to name anything else. */
const KEY_ID = /^[A-Za-z0-9_-]{1,128}$/;
const PRINTABLE = /^[\x20-\x7e]{1,64}$/;

export interface CompactRules {
  /** The only `typ` that is taken, compared exactly: one kind of token can never be shown as another (RFC 8725 3.11). */
  readonly type: string;
  readonly maxChars: number;
  /** Whether the header carries `kid`: then it must, else it must not. */
  readonly withKeyId: boolean;
}

/** A compact JWS taken apart; nothing in it has been verified. */
export interface DecodedJws {
  /** Empty where the rules say that there is none. */
  readonly keyId: string;
  readonly payload: JsonValue;
  readonly payloadBytes: Buffer;
  readonly signature: Buffer;
  /** What is signed: ASCII of header, dot, payload (RFC 7515 section 5.1). */
  readonly signingInput: Buffer;
}

/**
 * Takes a compact JWS apart, in the one spelling that this mesh writes: three parts of canonical base64url without
 * padding; a header of exactly `alg` (ES256), `typ` and, by the rules, `kid`; strict JSON in both. Any other header
 * member is refused, known (`jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`, `zip` …) or not: none is needed, and each has
 * been somebody's hole. Fails closed.
 *
 * @throws ShapeError
 */
export function decodeCompact(compact: string, { type, maxChars, withKeyId }: CompactRules): DecodedJws {
  if (typeof compact !== 'string' || compact.length > maxChars) {
    throw new ShapeError('token', `longer than ${maxChars} characters`);
  }
  const parts = compact.split('.', 4);
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    throw new ShapeError('token', 'not three parts');
  }
  if (header.length > MAX_HEADER_CHARS) throw new ShapeError('header', `longer than ${MAX_HEADER_CHARS} characters`);
  const keyId = readHeader(parseJson(base64UrlBytes(header, 'header'), 'header'), type, withKeyId);
  const payloadBytes = base64UrlBytes(payload, 'payload');
  const signatureBytes = base64UrlBytes(signature, 'signature');
  if (signatureBytes.length !== SIGNATURE_BYTES) throw new ShapeError('signature', `not ${SIGNATURE_BYTES} bytes`);
  return {
    keyId,
    payload: parseJson(payloadBytes, 'payload'),
    payloadBytes,
    signature: signatureBytes,
    signingInput: Buffer.from(compact.slice(0, header.length + 1 + payload.length), 'latin1'),
  };
}

/** Synchronous on purpose: half the CPU of a trip through a worker thread, and the proof of a live peer is urgent. */
export function verifyCompact({ signature, signingInput }: DecodedJws, publicKey: KeyObject): boolean {
  return verify('sha256', signingInput, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
}

export interface CompactContent {
  readonly type: string;
  readonly keyId?: string;
  /** JSON text. */
  readonly payload: string;
}

/** The counterpart of {@link decodeCompact} and {@link verifyCompact}; the key must be EC P-256. */
export function signCompact({ type, keyId, payload }: CompactContent, privateKey: KeyObject): string {
  const input = `${base64Url(headerJson({ type, keyId }))}.${base64Url(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export function isKeyId(text: unknown): text is string {
  return typeof text === 'string' && KEY_ID.test(text);
}

function headerJson({ type, keyId }: { readonly type: string; readonly keyId: string | undefined }): string {
  return JSON.stringify(keyId === undefined ? { alg: ES256, typ: type } : { alg: ES256, typ: type, kid: keyId });
}

function readHeader(value: JsonValue, type: string, withKeyId: boolean): string {
  const header = objectAt(value, 'header', { required: withKeyId ? ['alg', 'typ', 'kid'] : ['alg', 'typ'] });
  if (header['alg'] !== ES256) throw new ShapeError('header.alg', `not ${ES256}`);
  if (stringAt(header['typ'], 'header.typ', PRINTABLE, 'a media type') !== type) {
    throw new ShapeError('header.typ', `not ${type}`);
  }
  return withKeyId ? stringAt(header['kid'], 'header.kid', KEY_ID, 'a key id') : '';
}

/** Refuses a second spelling of the same bytes (RFC 4648 section 3.5): unused bits set, padding, other alphabets. */
function base64UrlBytes(part: string, what: string): Buffer {
  if (!BASE64URL.test(part)) throw new ShapeError(what, 'not base64url');
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw new ShapeError(what, 'not base64url in its canonical spelling');
  return bytes;
}

function parseJson(bytes: Buffer, what: string): JsonValue {
  try {
    return parseStrictJsonBytes(bytes, { maxDepth: 16 });
  } catch (cause) {
    if (cause instanceof JsonError) throw new ShapeError(what, cause.message);
    throw cause;
  }
}

function base64Url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
