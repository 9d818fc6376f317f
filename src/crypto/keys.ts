import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { ConfirmationKey } from '../domain/identity-token.ts';
import { MeshError } from '../domain/mesh-error.ts';

/** An EC P-256 pair. An instance's pair lives in its sidecar's memory only: nothing here writes a private key. */
export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** OpenSSL's name of P-256 (RFC 5480 section 2.1.1.1: secp256r1). */
const CURVE = 'prime256v1';
/** 32 bytes in base64url: 43 characters, of which the last carries only 4 bits. */
const BASE64URL_32 = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

export function generateKeyPair(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** Whether a key is EC on P-256: the only kind that ES256 (RFC 7518 section 3.4) and this mesh know. */
export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === CURVE;
}

/** @throws MeshError `KEY_INVALID` when the key is of another kind or not the half that is needed. */
export function assertP256(key: KeyObject, half: 'public' | 'private'): void {
  if (key.type !== half || !isP256(key)) throw new MeshError('KEY_INVALID', `not a ${half} EC P-256 key`);
}

/** Whether a text is 32 bytes in base64url without padding, in the one canonical spelling (RFC 4648 section 3.5). */
export function isBase64Url32(text: unknown): text is string {
  return typeof text === 'string' && BASE64URL_32.test(text);
}

/** base64url SHA-256: `x5t#S256` of a certificate in DER (RFC 8705 section 3.1), `ath` of a token (RFC 9449). */
export function sha256Base64Url(data: string | Uint8Array): string {
  return hash('sha256', data, 'base64url');
}

/** The public half, as `cnf.jwk` carries it. Accepts either half. @throws MeshError `KEY_INVALID` */
export function exportJwk(key: KeyObject): ConfirmationKey {
  if (!isP256(key)) throw new MeshError('KEY_INVALID', 'not an EC P-256 key');
  const { x, y } = key.export({ format: 'jwk' });
  if (!isBase64Url32(x) || !isBase64Url32(y)) throw new MeshError('KEY_INVALID', 'the key has no affine coordinates');
  return { kty: 'EC', crv: 'P-256', x, y, alg: 'ES256' };
}

/** @throws MeshError `KEY_INVALID` when the point is not on the curve. */
export function importJwk({ x, y }: Pick<ConfirmationKey, 'x' | 'y'>): KeyObject {
  if (!isBase64Url32(x) || !isBase64Url32(y)) throw new MeshError('KEY_INVALID', 'a coordinate is not 32 bytes');
  try {
    return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y } });
  } catch (cause) {
    throw new MeshError('KEY_INVALID', 'the point is not on P-256', { cause });
  }
}

/** JWK thumbprint (RFC 7638), which this mesh also uses as `kid`: a key id cannot be reused for another key. */
export function jwkThumbprint({ x, y }: Pick<ConfirmationKey, 'x' | 'y'>): string {
  return sha256Base64Url(JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }));
}

/** PKCS#8, for keys of the authority that it has to keep. @throws MeshError `KEY_INVALID` */
export function privateKeyToPem(key: KeyObject): string {
  assertP256(key, 'private');
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** @throws MeshError `KEY_INVALID` */
export function privateKeyFromPem(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new MeshError('KEY_INVALID', 'not a private key in PEM', { cause });
  }
  assertP256(key, 'private');
  return key;
}

/** One PEM block (RFC 7468), lines of 64 characters, with a newline at its end. */
export function certificateToPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
