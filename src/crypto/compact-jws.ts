import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { JsonError, parseStrictJsonBytes } from '../domain/canonical/strict-json.ts';
import type { JsonValue } from '../domain/canonical/strict-json.ts';
import { arrayAt, objectAt, ShapeError, stringAt } from '../domain/json-shape.ts';

/** JWS `alg` of everything that this mesh signs (RFC 7518 section 3.4). */
export const ES256 = 'ES256';
const SIGNATURE_BYTES = 64;
const MAX_HEADER_CHARS = 512;
const MAX_HEADER_CHARS_WITH_CHAIN = 16 * 1024;
const MAX_CHAIN = 4;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
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
  /** Whether the header carries `x5c` (RFC 7515 section 4.1.6): then it must, else it must not. Default false. */
  readonly withChain?: boolean;
}

/** A compact JWS taken apart; nothing in it has been verified. */
export interface DecodedJws {
  /** Empty where the rules say that there is none. */
  readonly keyId: string;
  /** DER, the signer's first; not verified either. Empty where the rules say that there is none. */
  readonly chain: readonly Buffer[];
  readonly payload: JsonValue;
  readonly payloadBytes: Buffer;
  readonly signature: Buffer;
  /** What is signed: ASCII of header, dot, payload (RFC 7515 section 5.1). */
  readonly signingInput: Buffer;
}

/**
 * Takes a compact JWS apart, in the one spelling that this mesh writes: three parts of canonical base64url without
 * padding; a header of exactly `alg` (ES256), `typ` and, by the rules, `kid` and `x5c`; strict JSON in both. Any other
 * header member is refused, known (`jwk`, `jku`, `x5u`, `crit`, `b64`, `zip` …) or not: none is needed, and each has been
 * somebody's hole. Fails closed.
 *
 * @throws ShapeError
 */
export function decodeCompact(compact: string, rules: CompactRules): DecodedJws {
  const { maxChars, withChain = false } = rules;
  if (typeof compact !== 'string' || compact.length > maxChars) {
    throw new ShapeError('token', `longer than ${maxChars} characters`);
  }
  const parts = compact.split('.', 4);
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    throw new ShapeError('token', 'not three parts');
  }
  const maxHeaderChars = withChain ? MAX_HEADER_CHARS_WITH_CHAIN : MAX_HEADER_CHARS;
  if (header.length > maxHeaderChars) throw new ShapeError('header', `longer than ${maxHeaderChars} characters`);
  const { keyId, chain } = readHeader(parseJson(base64UrlBytes(header, 'header'), 'header'), rules);
  const payloadBytes = base64UrlBytes(payload, 'payload');
  const signatureBytes = base64UrlBytes(signature, 'signature');
  if (signatureBytes.length !== SIGNATURE_BYTES) throw new ShapeError('signature', `not ${SIGNATURE_BYTES} bytes`);
  return {
    keyId,
    chain,
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
  /** DER, the signer's first. */
  readonly chain?: readonly Uint8Array[];
  /** JSON text. */
  readonly payload: string;
}

/** The counterpart of {@link decodeCompact} and {@link verifyCompact}; the key must be EC P-256. */
export function signCompact({ payload, ...header }: CompactContent, privateKey: KeyObject): string {
  const input = `${base64Url(headerJson(header))}.${base64Url(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export function isKeyId(text: unknown): text is string {
  return typeof text === 'string' && KEY_ID.test(text);
}

function headerJson({ type, keyId, chain }: Omit<CompactContent, 'payload'>): string {
  return JSON.stringify({
    alg: ES256,
    typ: type,
    ...(keyId !== undefined && { kid: keyId }),
    ...(chain !== undefined && { x5c: chain.map((der) => Buffer.from(der).toString('base64')) }),
  });
}

function readHeader(
  value: JsonValue,
  { type, withKeyId, withChain = false }: CompactRules,
): Pick<DecodedJws, 'keyId' | 'chain'> {
  const required = ['alg', 'typ', ...(withKeyId ? ['kid'] : []), ...(withChain ? ['x5c'] : [])];
  const header = objectAt(value, 'header', { required });
  if (header['alg'] !== ES256) throw new ShapeError('header.alg', `not ${ES256}`);
  if (stringAt(header['typ'], 'header.typ', PRINTABLE, 'a media type') !== type) {
    throw new ShapeError('header.typ', `not ${type}`);
  }
  return {
    keyId: withKeyId ? stringAt(header['kid'], 'header.kid', KEY_ID, 'a key id') : '',
    chain: withChain ? arrayAt(header['x5c'], 'header.x5c', { min: 1, max: MAX_CHAIN }).map(certificateAt) : [],
  };
}

/** Base64 with padding, not base64url (RFC 7515 section 4.1.6); one spelling only here, too. */
function certificateAt(value: JsonValue, index: number): Buffer {
  const at = `header.x5c[${index}]`;
  const der = Buffer.from(stringAt(value, at, BASE64, 'base64'), 'base64');
  if (der.toString('base64') !== value) throw new ShapeError(at, 'not base64 in its canonical spelling');
  return der;
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
