import type { KeyObject, X509Certificate } from 'node:crypto';
import { parseStrictJson } from '../../domain/canonical/strict-json.ts';
import type { BundleDocument } from '../../domain/mesh-state.ts';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { exportJwk, privateKeyFromPem } from '../../crypto/keys.ts';
import { trustBundleToJson, type PublishedKey } from '../../crypto/trust-bundle.ts';
import { openIssuer, type Issuer } from '../../crypto/x509-issuer.ts';
import { activeKey, type KeyRing, type RingKey } from './key-ring.ts';

/** A key that signs AITs, or one that signs state; never both. */
export interface SigningKey {
  readonly key: KeyObject;
  readonly keyId: string;
}

/** A root of the ring, ready to sign. */
export interface LiveRoot {
  readonly id: string;
  readonly issuer: Issuer;
  readonly certificate: X509Certificate;
}

/** A ring with everything in it read once. It is made whole or not at all, so a bundle that nobody could read is never used. */
export interface LiveKeys {
  readonly ring: KeyRing;
  /** Oldest first. */
  readonly roots: readonly LiveRoot[];
  readonly activeRoot: LiveRoot;
  readonly aitKey: SigningKey;
  readonly stateKey: SigningKey;
  /** SPIFFE bundle format, RFC 8785 JSON. */
  readonly bundleJson: string;
  readonly bundle: BundleDocument;
}

const REFRESH_HINT_SECONDS = 300;

/** @throws MeshError `TRUST_BUNDLE_INVALID`, `KEY_INVALID`, `CERTIFICATE_INVALID` */
export function readLiveKeys(ring: KeyRing): LiveKeys {
  const { trustDomain, sequence } = ring;
  const roots = ring.keys.flatMap((key) => (key.certPem === undefined ? [] : [liveRoot(key, key.certPem)]));
  const activeId = activeKey(ring, 'root').id;
  const activeRoot = roots.find(({ id }) => id === activeId);
  if (activeRoot === undefined) throw new TypeError('the active root has no certificate');
  const published = (kind: RingKey['kind']) => ring.keys.filter((key) => key.kind === kind).map(publishedKey);
  const bundleJson = trustBundleToJson({
    trustDomain,
    roots: roots.map(({ issuer }) => issuer.certPem),
    aitKeys: published('ait'),
    stateKeys: published('state'),
    sequence,
    refreshHintSeconds: REFRESH_HINT_SECONDS,
  });
  return {
    ring,
    roots,
    activeRoot,
    aitKey: signingKey(activeKey(ring, 'ait')),
    stateKey: signingKey(activeKey(ring, 'state')),
    bundleJson,
    bundle: { trustDomain, document: parseStrictJson(bundleJson) },
  };
}

function liveRoot({ id, keyPem }: RingKey, certPem: string): LiveRoot {
  return { id, issuer: openIssuer({ certPem, keyPem }), certificate: readX509(certPem) };
}

function signingKey({ id, keyPem }: RingKey): SigningKey {
  return { key: privateKeyFromPem(keyPem), keyId: id };
}

function publishedKey({ id, keyPem }: RingKey): PublishedKey {
  const { kty, crv, x, y } = exportJwk(privateKeyFromPem(keyPem));
  return { kid: id, jwk: { kty, crv, x, y } };
}
