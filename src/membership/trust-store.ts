import type { KeyObject, X509Certificate } from 'node:crypto';
import { createAitVerifier, type AitVerifier } from '../crypto/identity-token-verifier.ts';
import { importJwk, sha256Base64Url } from '../crypto/keys.ts';
import { rootPin, type RootPin } from '../crypto/root-pin.ts';
import { rootCertificates, trustBundleDigest, type PublishedKey, type TrustBundle } from '../crypto/trust-bundle.ts';
import type { TrustDomain } from '../domain/agent-id.ts';
import type { TrustedKeys } from '../domain/candidate.ts';
import type { TrustedRoots } from './peer-inspection.ts';

interface Trusted {
  readonly digest: string;
  /** base64url SHA-256 of each root. */
  readonly rootThumbprints: ReadonlySet<string>;
  readonly rootPems: readonly string[];
  readonly roots: readonly X509Certificate[];
  readonly aitKeys: ReadonlyMap<string, KeyObject>;
  readonly stateKeys: ReadonlyMap<string, KeyObject>;
}

/**
 * The trust bundles in force, one a trust domain, read once. A key vouches only for what its own domain issued and its
 * own use allows.
 */
export class TrustStore {
  #byDomain: ReadonlyMap<TrustDomain, Trusted> = new Map();
  #roots: TrustedRoots = new Map();
  /** What is in force was read from these; the same list again is no news. */
  #from: readonly TrustBundle[] = [];
  #onChange: (() => void) | undefined;
  readonly verifier: AitVerifier = createAitVerifier({
    keyFor: (issuer, keyId) =>
      this.#byDomain.get(issuer.replace(/^spiffe:\/\//, '') as TrustDomain)?.aitKeys.get(keyId),
  });

  /** @returns whether anything changed; every verified token is forgotten then. */
  replace(bundles: readonly TrustBundle[]): boolean {
    if (bundles === this.#from) return false;
    this.#from = bundles;
    return this.#take(new Map(bundles.map((bundle) => [bundle.trustDomain, this.#read(bundle)])));
  }

  /** As {@link replace}, with bundles from before: what is known of a domain already is newer, and stays. */
  restore(bundles: readonly TrustBundle[]): boolean {
    this.#from = [];
    const older = bundles.filter(({ trustDomain }) => !this.#byDomain.has(trustDomain));
    return this.#take(
      new Map([...this.#byDomain, ...older.map((bundle) => [bundle.trustDomain, this.#read(bundle)] as const)]),
    );
  }

  #take(next: ReadonlyMap<TrustDomain, Trusted>): boolean {
    const same =
      next.size === this.#byDomain.size &&
      [...next].every(([domain, trusted]) => this.#byDomain.get(domain)?.digest === trusted.digest);
    if (same) return false;
    this.#byDomain = next;
    this.#roots = new Map([...next].map(([domain, { roots }]) => [domain, roots]));
    this.verifier.flush();
    this.#onChange?.();
    return true;
  }

  /** Called after each change; one listener. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  get roots(): TrustedRoots {
    return this.#roots;
  }

  /** PEM of every root, for TLS; which root may vouch for whom is checked after the handshake. */
  get rootPems(): readonly string[] {
    return [...this.#byDomain.values()].flatMap(({ rootPems }) => rootPems);
  }

  /** SHA-256 (hexadecimal) of every root of a domain, oldest first: how they are told from others at first contact. */
  rootPins(domain: TrustDomain): readonly RootPin[] {
    return (this.#byDomain.get(domain)?.roots ?? []).map(({ raw }) => rootPin(raw));
  }

  /** What may vouch for anybody now. */
  get trusts(): TrustedKeys {
    return {
      aitKey: (domain, keyId) => this.#byDomain.get(domain)?.aitKeys.has(keyId) === true,
      root: (domain, thumbprint) => this.#byDomain.get(domain)?.rootThumbprints.has(thumbprint) === true,
    };
  }

  stateKey(domain: TrustDomain, keyId: string): KeyObject | undefined {
    return this.#byDomain.get(domain)?.stateKeys.get(keyId);
  }

  #read(bundle: TrustBundle): Trusted {
    const digest = trustBundleDigest(bundle);
    const known = this.#byDomain.get(bundle.trustDomain);
    if (known?.digest === digest) return known;
    const keys = (published: readonly PublishedKey[]) =>
      new Map(published.map(({ kid, jwk }) => [kid, importJwk(jwk)]));
    const roots = rootCertificates(bundle);
    return {
      digest,
      rootPems: bundle.roots,
      roots,
      rootThumbprints: new Set(roots.map(({ raw }) => sha256Base64Url(raw))),
      aitKeys: keys(bundle.aitKeys),
      stateKeys: keys(bundle.stateKeys),
    };
  }
}
