import type { KeyObject } from 'node:crypto';
import type { TrustDomain } from '../../domain/agent-id.ts';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { exportJwk, generateKeyPair, jwkThumbprint, privateKeyFromPem, privateKeyToPem } from '../../crypto/keys.ts';
import { rootPin } from '../../crypto/root-pin.ts';
import { createRoot, openIssuer, type Root } from '../../crypto/x509-issuer.ts';
import type { KeyKind, KeyMaterial } from './key-ring.ts';

const ROOT_LIFETIME_MS = 10 * 365 * 86_400_000;
/** Clocks of sidecars may be behind ours by so much, in ms. */
export const BACKDATE_MS = 60_000;

/** Makes a key of a kind, a root with its certificate. */
export function createKey(kind: KeyKind, { trustDomain, now }: { trustDomain: TrustDomain; now: number }): KeyMaterial {
  if (kind !== 'root') return readSigningKey(privateKeyToPem(generateKeyPair().privateKey));
  return readRoot(
    createRoot({
      trustDomain,
      commonName: `ait-mesh ${trustDomain}`.slice(0, 64),
      notBefore: now - BACKDATE_MS,
      notAfter: now + ROOT_LIFETIME_MS,
    }),
  );
}

/** @throws MeshError `KEY_INVALID`, `CERTIFICATE_INVALID` when certificate and key do not belong together. */
export function readRoot(root: Root): KeyMaterial {
  const { notAfter } = openIssuer(root);
  return { id: rootPin(readX509(root.certPem).raw), keyPem: root.keyPem, certPem: root.certPem, notAfter };
}

/** @throws MeshError `KEY_INVALID` */
export function readSigningKey(keyPem: string): KeyMaterial {
  return { id: keyIdOf(privateKeyFromPem(keyPem)), keyPem };
}

function keyIdOf(key: KeyObject): string {
  return jwkThumbprint(exportJwk(key));
}
