import type { KeyObject } from 'node:crypto';
import { kindOf, operatorId, type TrustDomain } from '../../domain/agent-id.ts';
import { verifyChain } from '../../crypto/chain.ts';
import { AdminProblem } from '../../platform/admin-http.ts';
import type { Operator } from '../../platform/admin-socket.ts';
import type { Clock } from '../../platform/clock.ts';
import type { StateStore } from '../../platform/store.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import type { IssuedSvid } from '../keys/issuing.ts';

export const OPERATOR_ROLES = ['viewer', 'admin'] as const satisfies readonly Operator['role'][];

/** An operator, as it is on record. Times are milliseconds since the epoch. */
export interface OperatorRecord extends Operator {
  readonly createdAt: number;
  /** Name of the operator who made it. */
  readonly createdBy: string;
  readonly expiresAt: number;
  /** `x5t#S256` of the one certificate that counts. */
  readonly thumbprint: string;
  readonly revoked?: { readonly at: number; readonly by: string };
}

export interface NewOperator extends Operator {
  readonly publicKey: KeyObject;
  /** Above 0. */
  readonly lifetimeMs: number;
  readonly createdBy: string;
}

export interface OperatorsOptions {
  readonly trustDomain: TrustDomain;
  readonly store: StateStore;
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
}

const COLLECTION = 'operators';

/**
 * Who may ask the authority things over the network, and what. A certificate only says who somebody is: role, end and
 * revocation are looked up here for every request, and only the very certificate on record counts.
 */
export class Operators {
  readonly #options: OperatorsOptions;
  readonly #byName = new Map<string, OperatorRecord>();
  readonly #listeners = new Set<(revoked: OperatorRecord) => void>();
  /** One change at a time: two makers of one name must meet. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: OperatorsOptions) {
    this.#options = options;
  }

  /** Reads what the store has; call once, before anything else. */
  async load(): Promise<void> {
    for (const { key, value } of await this.#options.store.list(COLLECTION)) {
      this.#byName.set(key, { ...(value as unknown as Omit<OperatorRecord, 'name'>), name: key });
    }
  }

  /** By name. */
  list(): readonly OperatorRecord[] {
    return [...this.#byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Calls back at the moment of a revocation. */
  onRevoked(listener: (revoked: OperatorRecord) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Issues a certificate and puts it on record. A name can be given again once its last holder is revoked or expired;
   * the certificate of that time does not come back to life.
   *
   * @throws AdminProblem `OPERATOR_EXISTS`
   */
  create(request: NewOperator): Promise<{ readonly record: OperatorRecord; readonly certificate: IssuedSvid }> {
    return this.#inTurn(async () => {
      const { trustDomain, authority, clock } = this.#options;
      const { name, role, publicKey, lifetimeMs, createdBy } = request;
      const known = this.#byName.get(name);
      const now = clock.now();
      if (known !== undefined && known.revoked === undefined && now < known.expiresAt) {
        throw new AdminProblem(409, 'OPERATOR_EXISTS', `there is an operator ${name} already; revoke it first`);
      }
      const certificate = authority.issueOperatorCertificate(operatorId(trustDomain, name), publicKey, lifetimeMs);
      const { thumbprint, notAfter } = certificate;
      const record: OperatorRecord = { name, role, createdAt: now, createdBy, expiresAt: notAfter, thumbprint };
      await this.#save(record);
      return { record, certificate };
    });
  }

  /**
   * Takes every right away at once, for good.
   *
   * @throws AdminProblem `OPERATOR_UNKNOWN`
   */
  revoke(name: string, by: string): Promise<OperatorRecord> {
    return this.#inTurn(async () => {
      const known = this.#byName.get(name);
      if (known === undefined) throw new AdminProblem(404, 'OPERATOR_UNKNOWN', `there is no operator ${name}`);
      if (known.revoked !== undefined) return known;
      const record: OperatorRecord = { ...known, revoked: { at: this.#options.clock.now(), by } };
      await this.#save(record);
      for (const listener of this.#listeners) listener(record);
      return record;
    });
  }

  /**
   * Who shows this certificate. Fails closed: another root, another kind of identity, a certificate that is not on
   * record, expired or revoked are all refused.
   *
   * @param der of the certificate on the connection; `undefined` where there is none.
   */
  judge(der: Uint8Array | undefined): Operator | AdminProblem {
    if (der === undefined) return refused('CERTIFICATE_MISSING', 'show the certificate of an operator');
    const { authority, clock } = this.#options;
    const chain = verifyChain({ leaf: der, roots: authority.roots, at: clock.now() });
    if (!chain.ok) return refused('CERTIFICATE_REFUSED', chain.detail);
    const { spiffeId, thumbprint } = chain.identity;
    if (kindOf(spiffeId) !== 'operator') return refused('NOT_AN_OPERATOR', `${spiffeId} is not an operator`);
    const record = this.list().find((known) => known.thumbprint === thumbprint);
    if (record === undefined || operatorId(this.#options.trustDomain, record.name) !== spiffeId) {
      return refused('OPERATOR_UNKNOWN', `this certificate of ${spiffeId} is not the one on record`);
    }
    const { name, role, expiresAt, revoked } = record;
    if (revoked !== undefined) {
      return refused('OPERATOR_REVOKED', `${name} was revoked at ${new Date(revoked.at).toISOString()}`);
    }
    if (!(clock.now() < expiresAt)) {
      return refused('OPERATOR_EXPIRED', `${name} was an operator until ${new Date(expiresAt).toISOString()}`);
    }
    return { name, role };
  }

  async #save(record: OperatorRecord): Promise<void> {
    const { name, ...value } = record;
    await this.#options.store.commit([{ kind: 'put', collection: COLLECTION, key: name, value }]);
    this.#byName.set(name, record);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function refused(code: string, detail: string): AdminProblem {
  return new AdminProblem(403, code, detail);
}
