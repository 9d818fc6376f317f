import { createHash, timingSafeEqual } from 'node:crypto';
import { parseSpiffeId, type SpiffeId } from '../../domain/agent-id.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { StateStore } from '../../platform/store.ts';
import { refusal, type Refusal } from '../refusal.ts';

export interface JoinCredentialsOptions {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly random: RandomSource;
}

export interface NewCredential {
  readonly id: string;
  /** 32 bytes; nobody can read them again. */
  readonly secret: Buffer;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** How often a credential may be used; without a bound only where somebody said so. */
export type CredentialUses = number | 'unlimited';

/** What may be told of a credential: everything but its secret, which nobody has. */
export interface CredentialRecord {
  readonly id: string;
  readonly agent: SpiffeId;
  readonly uses: CredentialUses;
  readonly usesLeft: CredentialUses;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface SpendRequest {
  readonly id: string;
  readonly secret: Uint8Array;
  /** The last word before a use is taken; default: no objection. */
  readonly mayJoin?: (agent: SpiffeId) => Refusal | undefined;
}

export type Spent = { readonly ok: true; readonly credential: CredentialRecord } | Refusal;

const COLLECTION = 'join_credentials';
const SECRET_BYTES = 32;
const ID_BYTES = 16;

/**
 * Join credentials. Of a secret only its SHA-256 is kept: it is 32 random bytes, so neither salt nor stretching would
 * add anything, and a copy of the state lets nobody join.
 */
export class JoinCredentials {
  readonly #options: JoinCredentialsOptions;

  constructor(options: JoinCredentialsOptions) {
    this.#options = options;
  }

  /** @param request `uses`: 1 or more, or `unlimited`; `lifetimeMs`: above 0. */
  async create(request: {
    readonly agent: SpiffeId;
    readonly uses: CredentialUses;
    readonly lifetimeMs: number;
  }): Promise<NewCredential> {
    const { store, clock, random } = this.#options;
    const [id, secret] = [random.bytes(ID_BYTES).toString('base64url'), random.bytes(SECRET_BYTES)];
    const expiresAt = clock.now() + request.lifetimeMs;
    const value: Stored = {
      agent: request.agent,
      secret_sha256: sha256(secret).toString('hex'),
      uses: request.uses,
      uses_left: request.uses,
      expires_at: expiresAt,
    };
    const expired = await this.#expired();
    await store.commit([
      ...expired.map((key) => ({ kind: 'delete', collection: COLLECTION, key }) as const),
      { kind: 'put', collection: COLLECTION, key: id, value: { ...value }, condition: { absent: true } },
    ]);
    return { id, secret, expiresAt };
  }

  /**
   * Takes one use, durably, before it says yes. An unknown id and a wrong secret are answered alike, after the same
   * work. Fails closed.
   */
  async spend({ id, secret, mayJoin }: SpendRequest): Promise<Spent> {
    const { store, clock } = this.#options;
    for (;;) {
      const stored = id === '' ? undefined : ((await store.get(COLLECTION, id)) as Stored | undefined);
      const expected = Buffer.from(stored?.secret_sha256 ?? '00'.repeat(SECRET_BYTES), 'hex');
      const right = timingSafeEqual(sha256(secret), expected);
      if (stored === undefined || !right) {
        return refusal(
          'UNAUTHENTICATED',
          'JOIN_CREDENTIAL_UNKNOWN',
          'there is no join credential with this id and secret',
        );
      }
      const now = clock.now();
      if (now >= stored.expires_at) {
        const [end, ours] = [stored.expires_at, now].map((at) => new Date(at).toISOString());
        return refusal(
          'UNAUTHENTICATED',
          'JOIN_CREDENTIAL_EXPIRED',
          `the join credential ended at ${end}, it is ${ours}`,
        );
      }
      if (stored.uses_left !== 'unlimited' && stored.uses_left < 1) {
        return refusal('UNAUTHENTICATED', 'JOIN_CREDENTIAL_USED_UP', 'the join credential has no use left');
      }
      const agent = parseSpiffeId(stored.agent);
      const objection = mayJoin?.(agent);
      if (objection !== undefined) return objection;
      if (stored.uses_left === 'unlimited') return { ok: true, credential: readRecord(id, stored) };
      try {
        const value = { ...stored, uses_left: stored.uses_left - 1 };
        await store.commit([
          { kind: 'put', collection: COLLECTION, key: id, value, condition: { equals: { ...stored } } },
        ]);
        return { ok: true, credential: readRecord(id, value) };
      } catch (error) {
        // Another join took a use between reading and writing: look again.
        if (!isMeshError(error, 'STATE_CONFLICT')) throw error;
      }
    }
  }

  /** All of them, the ones that ended first at the front. */
  async list(): Promise<readonly CredentialRecord[]> {
    const records = await this.#options.store.list(COLLECTION);
    return records
      .map(({ key, value }) => readRecord(key, value as unknown as Stored))
      .toSorted((a, b) => a.expiresAt - b.expiresAt);
  }

  /** Long-expired ones say no less clearly when they are gone. */
  async #expired(): Promise<string[]> {
    const before = this.#options.clock.now() - 30 * 86_400_000;
    const records = await this.#options.store.list(COLLECTION);
    return records.filter(({ value }) => (value as unknown as Stored).expires_at < before).map(({ key }) => key);
  }
}

interface Stored {
  readonly agent: string;
  readonly secret_sha256: string;
  /** Missing in what version 0.1 wrote. */
  readonly uses?: CredentialUses;
  readonly uses_left: CredentialUses;
  readonly expires_at: number;
}

/** Of a credential that was made before its number of uses was kept: the default then. */
const UNKNOWN_USES = 100;

function readRecord(id: string, stored: Stored): CredentialRecord {
  const { agent, uses = UNKNOWN_USES, uses_left: usesLeft, expires_at: expiresAt } = stored;
  return { id, agent: parseSpiffeId(agent), uses, usesLeft, expiresAt };
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}
