import { JsonError, parseStrictJsonBytes, type JsonObject, type JsonValue } from '../domain/canonical/strict-json.ts';
import { anyObjectAt, arrayAt, integerAt, objectAt, ShapeError, stringAt } from '../domain/json-shape.ts';

/** Longest token taken, in characters; one of a real cluster has about 1000. */
export const MAX_TOKEN_CHARS = 16 * 1024;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
const KEY_ID = /^[\x21-\x7e]{1,256}$/;
const ALGORITHM = /^[A-Za-z0-9-]{1,16}$/;
const ISSUER = /^[\x21-\x7e]{1,1000}$/;
const AUDIENCE = /^[\x20-\x7e]{1,1000}$/;
/** RFC 1123: what Kubernetes takes for names of namespaces, accounts and pods. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const UID = /^[A-Za-z0-9-]{1,64}$/;

/** A projected ServiceAccount token taken apart; nothing in it has been verified. */
export interface ServiceAccountToken {
  readonly compact: string;
  readonly algorithm: string;
  readonly keyId: string;
  /** Claims whose form depends on nothing else; seconds since the epoch. */
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly expires: number;
  readonly namespace: string;
  readonly account: string;
  /** `undefined` where the token is not bound to a pod. */
  readonly pod: { readonly name: string; readonly uid: string } | undefined;
}

/**
 * Takes a Kubernetes ServiceAccount token apart (KEP-1205): three parts of canonical base64url, strict JSON in both of
 * the first, the header of `alg`, `kid` and at most `typ: JWT`, and the claims that Kubernetes writes into every token
 * of the TokenRequest API. Other claims are ignored, as RFC 7519 section 4 asks; other header members (`jwk`, `jku`,
 * `x5u`, `crit` …) are refused. Fails closed.
 *
 * @throws ShapeError; its message repeats nothing of the token
 */
export function decodeServiceAccountToken(compact: string): ServiceAccountToken {
  if (compact.length > MAX_TOKEN_CHARS) throw new ShapeError('token', `longer than ${MAX_TOKEN_CHARS} characters`);
  const parts = compact.split('.', 4);
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    throw new ShapeError('token', 'not three parts');
  }
  const {
    alg,
    kid,
    typ = 'JWT',
  } = objectAt(jsonPart(header, 'header'), 'header', {
    required: ['alg'],
    optional: ['kid', 'typ'],
  });
  if (typ !== 'JWT') throw new ShapeError('header.typ', 'not JWT');
  const algorithm = stringAt(alg, 'header.alg', ALGORITHM, 'the name of an algorithm');
  // An unsigned token has an empty third part; it is refused for its algorithm, by name.
  if (algorithm.toLowerCase() !== 'none') base64UrlBytes(signature, 'signature');
  return {
    compact,
    algorithm,
    keyId: kid === undefined ? '' : stringAt(kid, 'header.kid', KEY_ID, 'a key id'),
    ...readClaims(anyObjectAt(jsonPart(payload, 'payload'), 'payload')),
  };
}

function readClaims(claims: JsonObject): Omit<ServiceAccountToken, 'compact' | 'algorithm' | 'keyId'> {
  const issuer = stringAt(claims['iss'], 'iss', ISSUER, 'a name');
  const subject = stringAt(claims['sub'], 'sub', /^[\x21-\x7e]{1,600}$/, 'a name');
  const { aud, iat, exp, nbf = iat } = claims;
  const audiences = (typeof aud === 'string' ? [aud] : arrayAt(aud, 'aud', { min: 1, max: 32 })).map((each) =>
    stringAt(each, 'aud', AUDIENCE, 'a text or a list of texts'),
  );
  const kubernetes = anyObjectAt(claims['kubernetes.io'], 'kubernetes.io');
  const account = anyObjectAt(kubernetes['serviceaccount'], 'kubernetes.io.serviceaccount');
  const token = {
    issuer,
    subject,
    audiences,
    issuedAt: integerAt(iat, 'iat'),
    notBefore: integerAt(nbf, 'nbf'),
    expires: integerAt(exp, 'exp'),
    namespace: stringAt(kubernetes['namespace'], 'kubernetes.io.namespace', NAME, 'the name of a namespace'),
    account: stringAt(account['name'], 'kubernetes.io.serviceaccount.name', NAME, 'the name of an account'),
    pod: kubernetes['pod'] === undefined ? undefined : readPod(kubernetes['pod']),
  };
  if (subject !== `system:serviceaccount:${token.namespace}:${token.account}`) {
    throw new ShapeError('sub', 'not the account that kubernetes.io names');
  }
  return token;
}

function readPod(value: JsonValue): { name: string; uid: string } {
  const { name, uid } = anyObjectAt(value, 'kubernetes.io.pod');
  return {
    name: stringAt(name, 'kubernetes.io.pod.name', NAME, 'the name of a pod'),
    uid: stringAt(uid, 'kubernetes.io.pod.uid', UID, 'the uid of a pod'),
  };
}

function jsonPart(part: string, what: string): JsonValue {
  try {
    return parseStrictJsonBytes(base64UrlBytes(part, what), { maxDepth: 8 });
  } catch (cause) {
    if (cause instanceof JsonError) throw new ShapeError(what, cause.message);
    throw cause;
  }
}

/** Refuses a second spelling of the same bytes (RFC 4648 section 3.5). */
function base64UrlBytes(part: string, what: string): Buffer {
  if (!BASE64URL.test(part)) throw new ShapeError(what, 'not base64url');
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw new ShapeError(what, 'not base64url in its canonical spelling');
  return bytes;
}
