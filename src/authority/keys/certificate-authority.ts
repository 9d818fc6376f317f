import type { KeyObject, X509Certificate } from 'node:crypto';
import { authorityId, kindOf, trustDomainOf, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import { isJoiningKind } from '../../domain/join-credential.ts';
import type { BundleDocument } from '../../domain/mesh-state.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { generateKeyPair, privateKeyToPem } from '../../crypto/keys.ts';
import type { RootPin } from '../../crypto/root-pin.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { StateStore } from '../../platform/store.ts';
import { issueLeaf, type IssuedSvid } from './issuing.ts';
import { createKey } from './key-material.ts';
import { changesBetween, firstRing, noteLives, type KeyChange, type KeyRing } from './key-ring.ts';
import type { Lifetimes } from './lifetimes.ts';
import { readLiveKeys, type LiveKeys, type LiveRoot, type SigningKey } from './live-keys.ts';
import { keysToStore, readStoredKeys } from './stored-keys.ts';

export interface CertificateAuthorityOptions {
  readonly trustDomain: TrustDomain;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly lifetimes: Lifetimes;
}

/** What a server shows: a key of its own and a certificate, with the root sent along for first contact. */
export interface ServerMaterial {
  readonly certPem: string;
  readonly keyPem: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

const COLLECTION = 'authority_keys';
const RECORD = 'current';

/**
 * The mesh's roots and signing keys, made at the first start and kept in the store, which only the authority's user can
 * read. Whoever has them is the mesh: back them up like that. Which of them sign is told by their phases
 * (`key-ring.ts`); who asks here always gets what is active at that moment.
 */
export class CertificateAuthority {
  readonly #options: CertificateAuthorityOptions;
  readonly #listeners = new Set<(changes: readonly KeyChange[]) => void>();
  #keys: LiveKeys;
  /** One change at a time. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: CertificateAuthorityOptions, keys: LiveKeys) {
    this.#options = options;
    this.#keys = keys;
  }

  /**
   * @throws MeshError `CONFIG_INVALID` when the state directory belongs to another trust domain: a new name needs a new
   * directory, or every certificate in the field would silently lose its root; `STATE_FILE_CORRUPT` when what is stored
   * are no keys
   */
  static async open(options: CertificateAuthorityOptions): Promise<CertificateAuthority> {
    const { store, trustDomain, clock, lifetimes } = options;
    const at = { now: clock.now(), lifetimes };
    const stored = await store.get(COLLECTION, RECORD);
    const ring =
      stored === undefined
        ? firstRing(trustDomain, createAll(trustDomain, at.now), at)
        : noteLives(readStoredKeys(stored, at), lifetimes);
    if (ring.trustDomain !== trustDomain) {
      throw new MeshError('CONFIG_INVALID', `the state directory is of ${ring.trustDomain}, not of ${trustDomain}`, {
        hint: 'correct trust_domain, or give the new mesh a state_dir of its own',
      });
    }
    const keys = readLiveKeys(ring);
    // Under the same name as ever: a version that knows no phases must stumble over it, not make itself new keys.
    const condition = stored === undefined ? ({ absent: true } as const) : { equals: stored };
    const value = keysToStore(ring);
    await store.commit([{ kind: 'put', collection: COLLECTION, key: RECORD, value, condition }]);
    return new CertificateAuthority(options, keys);
  }

  /** The root that signs. */
  get rootPem(): string {
    return this.#keys.activeRoot.issuer.certPem;
  }

  get rootSha256(): RootPin {
    return this.#keys.activeRoot.id;
  }

  get rootNotAfter(): number {
    return this.#keys.activeRoot.issuer.notAfter;
  }

  /** The root that will be in the ring longest: the published one where there is one, else the active one. */
  get newestRootSha256(): RootPin {
    return this.#keys.roots.at(-1)?.id ?? this.rootSha256;
  }

  /** Every root that certificates in the field may hang on, oldest first. */
  get roots(): readonly X509Certificate[] {
    return this.#keys.roots.map(({ certificate }) => certificate);
  }

  /** When each root ends, milliseconds since the epoch. */
  get rootEnds(): readonly { readonly id: RootPin; readonly notAfter: number }[] {
    return this.#keys.roots.map(({ id, issuer: { notAfter } }) => ({ id, notAfter }));
  }

  get rootPins(): readonly RootPin[] {
    return this.#keys.roots.map(({ id }) => id);
  }

  get aitKey(): SigningKey {
    return this.#keys.aitKey;
  }

  get stateKey(): SigningKey {
    return this.#keys.stateKey;
  }

  /** SPIFFE bundle format, RFC 8785 JSON. */
  get bundleJson(): string {
    return this.#keys.bundleJson;
  }

  get bundle(): BundleDocument {
    return this.#keys.bundle;
  }

  get ring(): KeyRing {
    return this.#keys.ring;
  }

  /** Calls back after each change, once it is stored and in force. */
  onChange(listener: (changes: readonly KeyChange[]) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Puts another ring in force: stored first, so that no restart brings back what others were told is gone. Where the
   * update returns the ring as it is, nothing happens.
   *
   * @returns what changed
   */
  change(update: (ring: KeyRing) => KeyRing): Promise<readonly KeyChange[]> {
    const work = this.#queue.then(async () => {
      const before = this.#keys.ring;
      const after = update(before);
      if (after === before) return [];
      const keys = readLiveKeys(after);
      await this.#options.store.commit([
        { kind: 'put', collection: COLLECTION, key: RECORD, value: keysToStore(after) },
      ]);
      this.#keys = keys;
      const changes = changesBetween(before, after);
      for (const listener of this.#listeners) listener(changes);
      return changes;
    });
    this.#queue = work.catch(() => undefined);
    return work;
  }

  /**
   * Issues to whoever joins or renews: agents and inference services of our own trust domain, and nobody else.
   *
   * @throws MeshError `CERTIFICATE_INVALID`
   */
  issueMemberSvid(member: SpiffeId, publicKey: KeyObject): IssuedSvid {
    if (!isJoiningKind(kindOf(member)) || trustDomainOf(member) !== this.#options.trustDomain) {
      throw new MeshError(
        'CERTIFICATE_INVALID',
        `${member} is neither an agent nor an inference service of ${this.#options.trustDomain}`,
      );
    }
    return this.#issue(member, publicKey);
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
    return this.#issue(operator, publicKey, { lifetimeMs });
  }

  /** A fresh key and certificate for the authority's own listener. @param pin whose: a root of the ring */
  issueServerIdentity(pin: RootPin = this.rootSha256): ServerMaterial {
    const root = this.#keys.roots.find(({ id }) => id === pin) ?? this.#keys.activeRoot;
    const { publicKey, privateKey } = generateKeyPair();
    const { pem, notAfter } = this.#issue(authorityId(this.#options.trustDomain), publicKey, { root });
    return { certPem: pem + root.issuer.certPem, keyPem: privateKeyToPem(privateKey), notAfter };
  }

  #issue(spiffeId: SpiffeId, publicKey: KeyObject, more: { root?: LiveRoot; lifetimeMs?: number } = {}): IssuedSvid {
    const { clock, random, lifetimes } = this.#options;
    const { root = this.#keys.activeRoot, lifetimeMs = lifetimes.svidMs } = more;
    const [now, serial] = [clock.now(), random.bytes(16)];
    return issueLeaf({ issuer: root.issuer, spiffeId, publicKey, now, lifetimeMs, serial });
  }
}

function createAll(trustDomain: TrustDomain, now: number) {
  const make = (kind: 'root' | 'ait' | 'state') => createKey(kind, { trustDomain, now });
  return { root: make('root'), ait: make('ait'), state: make('state') };
}
