import type { KeyObject } from 'node:crypto';
import { parseSpiffeId, type SpiffeId } from '../../domain/agent-id.ts';
import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import { sha256Base64Url } from '../../crypto/keys.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { StateStore } from '../../platform/store.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import { refusal, type Outcome } from '../refusal.ts';

/** One certificate that an instance holds; while a rotation is under way it holds two. */
interface HeldCertificate {
  readonly thumbprint: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** Base64 DER and SHA-256 of the key, so that a renewal whose answer was lost can be answered again. */
  readonly der: string;
  readonly key: string;
}

/** The pod whose ServiceAccount token let an instance in. */
export interface PodOrigin {
  readonly issuer: string;
  readonly namespace: string;
  readonly service_account: string;
  readonly name: string;
  /** The same for every start of the pod's containers, another for every other pod. */
  readonly uid: string;
}

/** What let an instance in. */
export interface JoinOrigin {
  /** Empty where it was no join credential. */
  readonly credentialId: string;
  readonly pod?: PodOrigin | undefined;
}

/** One running copy of an agent or of an inference service, as the authority knows it. */
export interface Instance extends JoinOrigin {
  readonly id: string;
  /** Whose: also an inference service's name stands here. */
  readonly agent: SpiffeId;
  /** Milliseconds since the epoch. */
  readonly joinedAt: number;
  /** Oldest first; the last one is current and the only one that may renew. */
  readonly certificates: readonly HeldCertificate[];
  /** `host:port`; empty where it accepts no connections. */
  readonly address: string;
}

export interface InstancesOptions {
  readonly store: StateStore;
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
}

const COLLECTION = 'instances';

/** Everybody who joined and still has a certificate that is valid. */
export class Instances {
  readonly #options: InstancesOptions;
  readonly #byId = new Map<string, Instance>();
  readonly #idByThumbprint = new Map<string, string>();
  readonly #listeners = new Set<() => void>();
  /** By instance: one change at a time, since two renewals from one certificate must meet. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: InstancesOptions) {
    this.#options = options;
  }

  /** Reads what the store has; call once, before anything else. */
  async load(): Promise<void> {
    for (const { key, value } of await this.#options.store.list(COLLECTION)) {
      const stored = value as unknown as Omit<Instance, 'id'>;
      this.#remember({ ...stored, id: key, agent: parseSpiffeId(stored.agent) });
    }
    this.#count();
  }

  /** Instances that hold a certificate which is still valid. */
  live(): readonly Instance[] {
    return [...this.#byId.values()].filter((instance) => this.#isLive(instance));
  }

  get(id: string): Instance | undefined {
    return this.#byId.get(id);
  }

  byCertificate(thumbprint: string): Instance | undefined {
    return this.#byId.get(this.#idByThumbprint.get(thumbprint) ?? '');
  }

  /** Calls back when an instance came, moved to another address, or is gone. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Makes a new instance with its first certificate. */
  join(request: { readonly agent: SpiffeId; readonly publicKey: KeyObject; readonly origin: JoinOrigin }) {
    const { clock, random } = this.#options;
    const id = random.bytes(16).toString('hex');
    return this.#inTurn(id, async () => {
      const issued = this.#issue(request.agent, request.publicKey);
      const instance: Instance = {
        id,
        agent: request.agent,
        joinedAt: clock.now(),
        ...request.origin,
        certificates: [issued],
        address: '',
      };
      await this.#save(instance);
      return { instance, der: Buffer.from(issued.der, 'base64') };
    });
  }

  /**
   * Issues the next certificate to the holder of the current one. Asked again with the same key it repeats the answer,
   * which may have been lost; asked by an older certificate for another key, somebody has a copy of a private key: it
   * is refused, and an alarm.
   */
  renew(request: {
    readonly id: string;
    readonly thumbprint: string;
    readonly publicKey: KeyObject;
  }): Promise<Outcome<{ readonly der: Buffer }>> {
    return this.#inTurn(request.id, async (): Promise<Outcome<{ readonly der: Buffer }>> => {
      const { logger, metrics } = this.#options;
      const instance = this.#byId.get(request.id);
      if (instance === undefined) return refusal('UNAUTHENTICATED', 'INSTANCE_UNKNOWN', 'the instance is not known');
      const at = instance.certificates.findIndex(({ thumbprint }) => thumbprint === request.thumbprint);
      if (at === -1) return refusal('UNAUTHENTICATED', 'INSTANCE_UNKNOWN', 'the certificate is not known');
      const child = instance.certificates[at + 1];
      if (child === undefined) {
        const next = this.#issue(instance.agent, request.publicKey);
        await this.#save({ ...instance, certificates: [...instance.certificates, next] });
        metrics.renewals.add({ result: 'ok' });
        return { ok: true, value: { der: Buffer.from(next.der, 'base64') } };
      }
      if (child.key === keyHash(request.publicKey)) {
        metrics.renewals.add({ result: 'repeated' });
        return { ok: true, value: { der: Buffer.from(child.der, 'base64') } };
      }
      metrics.renewals.add({ result: 'RENEWAL_FORKED' });
      logger.error('renewal_forked', { agent: instance.agent, instance: instance.id, certificate: request.thumbprint });
      const detail = 'this certificate was renewed before, with another key: somebody holds a copy of a private key';
      return refusal('PERMISSION_DENIED', 'RENEWAL_FORKED', detail);
    });
  }

  /** Notes where an instance accepts connections. */
  setAddress(id: string, address: string): Promise<void> {
    return this.#inTurn(id, async () => {
      const instance = this.#byId.get(id);
      if (instance !== undefined && instance.address !== address) await this.#save({ ...instance, address });
    });
  }

  /** Forgets instances whose last certificate has ended; they have to join again. */
  async prune(): Promise<void> {
    const live = new Set(this.live().map(({ id }) => id));
    const gone = [...this.#byId.keys()].filter((id) => !live.has(id));
    await Promise.all(gone.map((id) => this.#inTurn(id, () => this.#drop(id))));
  }

  #issue(agent: SpiffeId, publicKey: KeyObject): HeldCertificate {
    const { der, thumbprint, notAfter } = this.#options.authority.issueMemberSvid(agent, publicKey);
    return { thumbprint, notAfter, der: der.toString('base64'), key: keyHash(publicKey) };
  }

  async #save(instance: Instance): Promise<void> {
    const now = this.#options.clock.now();
    const certificates = instance.certificates.filter(({ notAfter }) => now <= notAfter);
    const { id, ...stored } = { ...instance, certificates };
    await this.#options.store.commit([
      { kind: 'put', collection: COLLECTION, key: id, value: stored as unknown as JsonValue },
    ]);
    this.#remember({ ...instance, certificates });
    this.#changed();
  }

  async #drop(id: string): Promise<void> {
    const instance = this.#byId.get(id);
    // It may have been renewed while this waited for its turn.
    if (instance === undefined || this.#isLive(instance)) return;
    await this.#options.store.commit([{ kind: 'delete', collection: COLLECTION, key: id }]);
    this.#forget(instance);
    this.#changed();
  }

  #isLive({ certificates }: Instance): boolean {
    const now = this.#options.clock.now();
    return certificates.some(({ notAfter }) => now <= notAfter);
  }

  #remember(instance: Instance): void {
    const old = this.#byId.get(instance.id);
    if (old !== undefined) this.#forget(old);
    this.#byId.set(instance.id, instance);
    for (const { thumbprint } of instance.certificates) this.#idByThumbprint.set(thumbprint, instance.id);
  }

  #forget({ id, certificates }: Instance): void {
    this.#byId.delete(id);
    for (const { thumbprint } of certificates) this.#idByThumbprint.delete(thumbprint);
  }

  #changed(): void {
    this.#count();
    for (const listener of this.#listeners) listener();
  }

  #count(): void {
    this.#options.metrics.instances.set(this.live().length);
  }

  #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#turns.get(id) ?? Promise.resolve()).then(work);
    const turn = result
      .catch(() => undefined)
      .then(() => {
        if (this.#turns.get(id) === turn) this.#turns.delete(id);
      });
    this.#turns.set(id, turn);
    return result;
  }
}

function keyHash(publicKey: KeyObject): string {
  return sha256Base64Url(publicKey.export({ format: 'der', type: 'spki' }));
}
