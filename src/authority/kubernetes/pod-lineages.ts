import type { ServiceAccountToken } from '../../crypto/service-account-token.ts';
import { sha256Base64Url } from '../../crypto/keys.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Change, StateStore } from '../../platform/store.ts';
import { refusal, type Refusal } from '../refusal.ts';

/** A token that is bound to a pod, and was verified. */
export type BoundToken = ServiceAccountToken & { readonly pod: NonNullable<ServiceAccountToken['pod']> };

interface Stored {
  readonly namespace: string;
  readonly account: string;
  readonly name: string;
  /** Of the newest token that the pod joined with; seconds since the epoch. */
  readonly issued_at: number;
  /** When its last token ends. */
  readonly expires: number;
}

const COLLECTION = 'pods';
/** API servers of one cluster have clocks of their own, in seconds. */
const LEEWAY_SECONDS = 30;

/**
 * The pods that joined, for as long as a token of theirs could still be shown. A pod may join again whenever its sidecar
 * restarts, with the token it had or a newer one; an older one is a copy that somebody kept.
 */
export class PodLineages {
  readonly #store: StateStore;
  readonly #clock: Clock;

  constructor({ store, clock }: { readonly store: StateStore; readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Notes that a pod joins, durably, before it says yes. @returns why it may not. Fails closed. */
  async continue(token: BoundToken): Promise<Refusal | undefined> {
    const key = sha256Base64Url(`${token.issuer}\n${token.pod.uid}`);
    for (;;) {
      const stored = (await this.#store.get(COLLECTION, key)) as unknown as Stored | undefined;
      const objection = stored === undefined ? undefined : compare(stored, token);
      if (objection !== undefined) return objection;
      const value = {
        namespace: token.namespace,
        account: token.account,
        name: token.pod.name,
        issued_at: Math.max(token.issuedAt, stored?.issued_at ?? 0),
        expires: Math.max(token.expires, stored?.expires ?? 0),
      };
      try {
        await this.#store.commit([
          ...(await this.#gone()),
          {
            kind: 'put',
            collection: COLLECTION,
            key,
            value,
            condition: stored === undefined ? { absent: true } : { equals: { ...stored } },
          },
        ]);
        return undefined;
      } catch (error) {
        // Another join of the pod came between reading and writing: look again.
        if (!isMeshError(error, 'STATE_CONFLICT')) throw error;
      }
    }
  }

  async #gone(): Promise<Change[]> {
    const before = this.#clock.now() / 1000 - 2 * LEEWAY_SECONDS;
    const records = await this.#store.list(COLLECTION);
    return records.flatMap(({ key, value }): Change[] =>
      (value as unknown as Stored).expires < before ? [{ kind: 'delete', collection: COLLECTION, key }] : [],
    );
  }
}

function compare(stored: Stored, { namespace, account, pod, issuedAt }: BoundToken): Refusal | undefined {
  if (stored.namespace !== namespace || stored.account !== account || stored.name !== pod.name) {
    const known = `${stored.namespace}/${stored.name} of ${stored.account}`;
    const detail = `the pod ${pod.uid} was ${known}, now it is ${namespace}/${pod.name} of ${account}`;
    return refusal('PERMISSION_DENIED', 'POD_MISMATCH', detail);
  }
  if (issuedAt < stored.issued_at - LEEWAY_SECONDS) {
    const [theirs, newest] = [issuedAt, stored.issued_at].map((at) => new Date(at * 1000).toISOString());
    const detail = `the token is of ${theirs}, the pod joined with one of ${newest} already`;
    return refusal('PERMISSION_DENIED', 'TOKEN_SUPERSEDED', detail);
  }
  return undefined;
}
