import type { X509Certificate } from 'node:crypto';
import type { TrustDomain } from '../domain/agent-id.ts';
import { canonicalizeJson } from '../domain/canonical/jcs.ts';
import { JsonError, parseStrictJson } from '../domain/canonical/strict-json.ts';
import type { JsonObject, JsonValue } from '../domain/canonical/strict-json.ts';
import type { ConfirmationKey } from '../domain/identity-token.ts';
import { anyObjectAt, arrayAt, choiceAt, integerAt, objectAt, ShapeError } from '../domain/json-shape.ts';
import { isMeshError, MeshError } from '../domain/mesh-error.ts';
import { hashAt } from './ait-claims.ts';
import { readX509 } from './certificate-fields.ts';
import { assertRoot } from './chain.ts';
import { isKeyId } from './compact-jws.ts';
import { certificateToPem, exportJwk, importJwk, sha256Base64Url } from './keys.ts';

/** A public key of the authority, found by its id. */
export interface PublishedKey {
  /** 1 to 128 characters of base64url; by convention the key's JWK thumbprint (RFC 7638). */
  readonly kid: string;
  readonly jwk: Pick<ConfirmationKey, 'kty' | 'crv' | 'x' | 'y'>;
}

/** Everything by which one trust domain's statements are believed. No list is ever empty. */
export interface TrustBundle {
  readonly trustDomain: TrustDomain;
  /** PEM, one certificate each. Several while the root is being replaced. */
  readonly roots: readonly string[];
  /** Keys that sign AITs, and keys that sign state. No key does both. */
  readonly aitKeys: readonly PublishedKey[];
  readonly stateKeys: readonly PublishedKey[];
  /** Grows with each change (`spiffe_sequence`). */
  readonly sequence: number;
  /** Seconds after which a reader asks again (`spiffe_refresh_hint`), at least 1. */
  readonly refreshHintSeconds: number;
}

/** JWK `use`. Readers of the SPIFFE format skip uses they do not know, so ours do no harm elsewhere. */
const USE = { root: 'x509-svid', ait: 'ait-token', state: 'ait-state' } as const;
const MAX_BUNDLE_CHARS = 256 * 1024;
const MAX_KEYS = 64;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * Writes a bundle in the SPIFFE bundle format (SPIFFE Trust Domain and Bundle, section 4), as RFC 8785 JSON. The name
 * of the trust domain is not in it; the roots carry it.
 *
 * @throws MeshError `TRUST_BUNDLE_INVALID`
 */
export function trustBundleToJson(bundle: TrustBundle): string {
  const text = canonicalizeJson({
    keys: [
      ...bundle.roots.map(rootToJwk),
      ...bundle.aitKeys.map((key) => keyToJwk(key, USE.ait)),
      ...bundle.stateKeys.map((key) => keyToJwk(key, USE.state)),
    ],
    spiffe_sequence: bundle.sequence,
    spiffe_refresh_hint: bundle.refreshHintSeconds,
  });
  // Nobody could read what this refuses.
  parseTrustBundle(text, bundle.trustDomain);
  return text;
}

/**
 * Reads a bundle, of which it must be known whose it is. Fails closed: at least one root, AIT key and state key; every
 * root an authority named after this very domain; ids unique; no key in two places; nothing of another use.
 *
 * @throws MeshError `TRUST_BUNDLE_INVALID`
 */
export function parseTrustBundle(text: string, trustDomain: TrustDomain): TrustBundle {
  try {
    if (text.length > MAX_BUNDLE_CHARS) throw new ShapeError('bundle', `longer than ${MAX_BUNDLE_CHARS} characters`);
    const bundle = objectAt(parseStrictJson(text, { maxDepth: 8 }), 'bundle', {
      required: ['keys', 'spiffe_sequence', 'spiffe_refresh_hint'],
    });
    const keys = arrayAt(bundle['keys'], 'keys', { min: 3, max: MAX_KEYS }).map(readKey);
    const roots = keys.filter((key) => key.use === USE.root).map(({ jwk, at }) => readRoot(jwk, at, trustDomain));
    const [aitKeys, stateKeys] = [publishedKeys(keys, USE.ait), publishedKeys(keys, USE.state)];
    for (const [what, list] of Object.entries({ roots, aitKeys, stateKeys })) {
      if (list.length === 0) throw new ShapeError('keys', `there are no ${what}`);
    }
    const rootPoints = keys.filter((key) => key.use === USE.root).map(pointOf);
    const otherPoints = keys.filter((key) => key.use !== USE.root).map(pointOf);
    // A root may be renewed with the key it has; but what signs certificates signs nothing else, and so on.
    assertDistinct([...new Set(rootPoints), ...otherPoints], 'one key stands in two places');
    assertDistinct(
      [...aitKeys, ...stateKeys].map(({ kid }) => kid),
      'two keys have one id',
    );
    return {
      trustDomain,
      roots,
      aitKeys,
      stateKeys,
      sequence: integerAt(bundle['spiffe_sequence'], 'spiffe_sequence'),
      refreshHintSeconds: integerAt(bundle['spiffe_refresh_hint'], 'spiffe_refresh_hint', { min: 1 }),
    };
  } catch (cause) {
    if (!(cause instanceof ShapeError || cause instanceof JsonError || isMeshError(cause))) throw cause;
    throw new MeshError('TRUST_BUNDLE_INVALID', `the trust bundle of ${trustDomain}: ${cause.message}`, { cause });
  }
}

/** The roots as Node reads them: keep the result, chains are verified against it. @throws MeshError `CERTIFICATE_INVALID` */
export function rootCertificates({ roots }: Pick<TrustBundle, 'roots'>): X509Certificate[] {
  return roots.map(readX509);
}

/** Identifies a bundle's whole content: differs whenever anything in it does. */
export function trustBundleDigest(bundle: TrustBundle): string {
  return sha256Base64Url(`${bundle.trustDomain}\n${trustBundleToJson(bundle)}`);
}

interface BundleKey {
  readonly at: string;
  readonly use: string;
  readonly jwk: JsonObject;
}

function readKey(value: JsonValue, index: number): BundleKey {
  const at = `keys[${index}]`;
  const use = choiceAt(anyObjectAt(value, at)['use'], `${at}.use`, Object.values(USE));
  const own = use === USE.root ? 'x5c' : 'kid';
  const jwk = objectAt(value, at, { required: ['use', 'kty', 'crv', 'x', 'y', own] });
  choiceAt(jwk['kty'], `${at}.kty`, ['EC']);
  choiceAt(jwk['crv'], `${at}.crv`, ['P-256']);
  return { at, use, jwk };
}

function publishedKeys(keys: readonly BundleKey[], use: string): PublishedKey[] {
  return keys
    .filter((key) => key.use === use)
    .map(({ jwk, at }) => {
      const { kid } = jwk;
      if (!isKeyId(kid)) throw new ShapeError(`${at}.kid`, 'not a key id');
      const [x, y] = [hashAt(jwk['x'], `${at}.x`), hashAt(jwk['y'], `${at}.y`)];
      importJwk({ x, y });
      return { kid, jwk: { kty: 'EC', crv: 'P-256', x, y } };
    });
}

/** One certificate in `x5c`, whose key is the JWK's (RFC 7517 section 4.7). */
function readRoot(jwk: JsonObject, at: string, trustDomain: TrustDomain): string {
  const [encoded] = arrayAt(jwk['x5c'], `${at}.x5c`, { min: 1, max: 1 });
  if (typeof encoded !== 'string' || !BASE64.test(encoded)) throw new ShapeError(`${at}.x5c`, 'not base64');
  const certificate = readX509(Buffer.from(encoded, 'base64'));
  if (certificate.raw.toString('base64') !== encoded) throw new ShapeError(`${at}.x5c`, 'not exactly one certificate');
  const { x, y } = exportJwk(certificate.publicKey);
  if (jwk['x'] !== x || jwk['y'] !== y) throw new ShapeError(at, "the key is not the certificate's");
  assertRoot(certificate, trustDomain);
  return certificateToPem(certificate.raw);
}

function rootToJwk(pem: string): JsonObject {
  const certificate = readX509(pem);
  const { kty, crv, x, y } = exportJwk(certificate.publicKey);
  return { use: USE.root, kty, crv, x, y, x5c: [certificate.raw.toString('base64')] };
}

function keyToJwk({ kid, jwk }: PublishedKey, use: string): JsonObject {
  return { use, kid, kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y };
}

function pointOf({ jwk, at }: BundleKey): string {
  return `${hashAt(jwk['x'], `${at}.x`)}.${hashAt(jwk['y'], `${at}.y`)}`;
}

function assertDistinct(values: readonly string[], complaint: string): void {
  if (new Set(values).size !== values.length) throw new ShapeError('keys', complaint);
}
