import type { KeyObject, X509Certificate } from 'node:crypto';
import { authorityId, kindOf, trustDomainOf, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import { parseStrictJson } from '../../domain/canonical/strict-json.ts';
import type { BundleDocument } from '../../domain/mesh-state.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { exportJwk, generateKeyPair, jwkThumbprint, privateKeyFromPem, privateKeyToPem } from '../../crypto/keys.ts';
import { rootPin, type RootPin } from '../../crypto/root-pin.ts';
import { readSvid } from '../../crypto/svid.ts';
import { trustBundleToJson, type PublishedKey, type TrustBundle } from '../../crypto/trust-bundle.ts';
import { createRoot, issueSvid, openIssuer, type Issuer } from '../../crypto/x509-issuer.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { StateStore } from '../../platform/store.ts';

export interface CertificateAuthorityOptions {
  readonly trustDomain: TrustDomain;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** How long an SVID lives, in ms. */
  readonly svidLifetimeMs: number;
}

/** A key that signs AITs, or one that signs state; never both. */
export interface SigningKey {
  readonly key: KeyObject;
  readonly keyId: string;
}

export interface IssuedSvid {
  readonly pem: string;
  readonly der: Buffer;
  /** `x5t#S256`. */
  readonly thumbprint: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

const COLLECTION = 'authority_keys';
const RECORD = 'current';
const ROOT_LIFETIME_MS = 10 * 365 * 86_400_000;
/** Clocks of sidecars may be behind ours by so much, in ms. */
const BACKDATE_MS = 60_000;
const REFRESH_HINT_SECONDS = 300;

/**
 * The mesh's root and signing keys, made at the first start and kept in the store, which only the authority's user can
 * read. Whoever has them is the mesh: back them up like that.
 */
export class CertificateAuthority {
  readonly rootPem: string;
  readonly rootSha256: RootPin;
  readonly roots: readonly X509Certificate[];
  readonly rootNotAfter: number;
  readonly aitKey: SigningKey;
  readonly stateKey: SigningKey;
  /** SPIFFE bundle format, RFC 8785 JSON. */
  readonly bundleJson: string;
  readonly bundle: BundleDocument;
  readonly #options: CertificateAuthorityOptions;
  readonly #issuer: Issuer;

  private constructor(options: CertificateAuthorityOptions, keys: StoredKeys) {
    this.#options = options;
    this.#issuer = openIssuer({ certPem: keys.root_certificate, keyPem: keys.root_key });
    const root = readX509(keys.root_certificate);
    this.rootPem = keys.root_certificate;
    this.rootSha256 = rootPin(root.raw);
    this.roots = [root];
    this.rootNotAfter = this.#issuer.notAfter;
    this.aitKey = signingKey(keys.ait_key);
    this.stateKey = signingKey(keys.state_key);
    const bundle: TrustBundle = {
      trustDomain: options.trustDomain,
      roots: [this.rootPem],
      aitKeys: [published(this.aitKey)],
      stateKeys: [published(this.stateKey)],
      sequence: 1,
      refreshHintSeconds: REFRESH_HINT_SECONDS,
    };
    this.bundleJson = trustBundleToJson(bundle);
    this.bundle = { trustDomain: options.trustDomain, document: parseStrictJson(this.bundleJson) };
  }

  /**
   * @throws MeshError `CONFIG_INVALID` when the state directory belongs to another trust domain: a new name needs a new
   * directory, or every certificate in the field would silently lose its root.
   */
  static async open(options: CertificateAuthorityOptions): Promise<CertificateAuthority> {
    const { store, trustDomain } = options;
    let keys = (await store.get(COLLECTION, RECORD)) as StoredKeys | undefined;
    if (keys === undefined) {
      keys = createKeys(options);
      await store.commit([
        { kind: 'put', collection: COLLECTION, key: RECORD, value: { ...keys }, condition: { absent: true } },
      ]);
    }
    if (keys.trust_domain !== trustDomain) {
      throw new MeshError('CONFIG_INVALID', `the state directory is of ${keys.trust_domain}, not of ${trustDomain}`, {
        hint: 'correct trust_domain, or give the new mesh a state_dir of its own',
      });
    }
    return new CertificateAuthority(options, keys);
  }

  /**
   * Issues to whoever joins or renews: agents of our own trust domain and nobody else.
   *
   * @throws MeshError `CERTIFICATE_INVALID`
   */
  issueAgentSvid(agent: SpiffeId, publicKey: KeyObject): IssuedSvid {
    if (kindOf(agent) !== 'agent' || trustDomainOf(agent) !== this.#options.trustDomain) {
      throw new MeshError('CERTIFICATE_INVALID', `${agent} is not an agent of ${this.#options.trustDomain}`);
    }
    return this.#issue(agent, publicKey);
  }

  /**
   * Issues to an operator of our own trust domain, for as long as was decided; never beyond the root's own end.
   *
   * @throws MeshError `CERTIFICATE_INVALID`
   */
  issueOperatorCertificate(operator: SpiffeId, publicKey: KeyObject, lifetimeMs: number): IssuedSvid {
    if (kindOf(operator) !== 'operator' || trustDomainOf(operator) !== this.#options.trustDomain) {
      throw new MeshError('CERTIFICATE_INVALID', `${operator} is not an operator of ${this.#options.trustDomain}`);
    }
    return this.#issue(operator, publicKey, lifetimeMs);
  }

  /** A fresh key and certificate for the authority's own listener, with the root sent along for first contact. */
  issueServerIdentity(): { readonly certPem: string; readonly keyPem: string; readonly notAfter: number } {
    const { publicKey, privateKey } = generateKeyPair();
    const { pem, notAfter } = this.#issue(authorityId(this.#options.trustDomain), publicKey);
    return { certPem: pem + this.rootPem, keyPem: privateKeyToPem(privateKey), notAfter };
  }

  #issue(spiffeId: SpiffeId, publicKey: KeyObject, lifetimeMs = this.#options.svidLifetimeMs): IssuedSvid {
    const { clock, random } = this.#options;
    const now = clock.now();
    const pem = issueSvid({
      issuer: this.#issuer,
      publicKey,
      spiffeId,
      notBefore: now - BACKDATE_MS,
      notAfter: Math.min(now + lifetimeMs, this.#issuer.notAfter),
      serial: random.bytes(16),
    });
    const der = readX509(pem).raw;
    const { thumbprint, notAfter } = readSvid(der);
    return { pem, der, thumbprint, notAfter };
  }
}

interface StoredKeys {
  readonly trust_domain: string;
  readonly root_certificate: string;
  readonly root_key: string;
  readonly ait_key: string;
  readonly state_key: string;
}

function createKeys({ trustDomain, clock }: CertificateAuthorityOptions): StoredKeys {
  const now = clock.now();
  const root = createRoot({
    trustDomain,
    commonName: `ait-mesh ${trustDomain}`.slice(0, 64),
    notBefore: now - BACKDATE_MS,
    notAfter: now + ROOT_LIFETIME_MS,
  });
  return {
    trust_domain: trustDomain,
    root_certificate: root.certPem,
    root_key: root.keyPem,
    ait_key: privateKeyToPem(generateKeyPair().privateKey),
    state_key: privateKeyToPem(generateKeyPair().privateKey),
  };
}

function signingKey(pem: string): SigningKey {
  const key = privateKeyFromPem(pem);
  return { key, keyId: jwkThumbprint(exportJwk(key)) };
}

function published({ key, keyId }: SigningKey): PublishedKey {
  const { kty, crv, x, y } = exportJwk(key);
  return { kid: keyId, jwk: { kty, crv, x, y } };
}
