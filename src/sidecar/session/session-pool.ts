import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection, type RejectionCode } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { Backoff, type RandomSource } from '../../platform/random.ts';
import type { Session } from './session.ts';
import type { DialResult, DialTarget, DialledSession } from '../exchange/dialler.ts';

export interface SessionPoolDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Addresses of a peer, best first; a balancer's address may stand for many instances. */
  readonly addressesOf: (peer: SpiffeId) => readonly string[];
  readonly dial: (target: DialTarget) => Promise<DialResult>;
  readonly end: (session: Session, cause: Rejection) => void;
}

/** One attempt to get a session dials so often before it gives up: another instance may be in better order. */
const MIN_DIALS = 3;
const MAX_DIALS = 8;

/** No other instance of the peer would change it. */
const SAME_FOR_ALL: ReadonlySet<RejectionCode> = new Set(['STATE_MISSING', 'STATE_STALE', 'GRANT_MISSING']);

interface PeerEntry {
  current: DialledSession | undefined;
  dialling: Promise<DialResult> | undefined;
  readonly backoff: Backoff;
  /** Our monotonic clock; before then the last refusal is the answer. */
  retryAt: number;
  lastCause: Rejection | undefined;
  lastGood: string | undefined;
}

export type PooledSession =
  { readonly ok: true; readonly dialled: DialledSession } | { readonly ok: false; readonly cause: Rejection };

/**
 * Sessions to peers, dialled when they are needed and shared by all connections to one peer. A peer that refused us is
 * left alone for a while, growing from one second to a minute, until something changes.
 */
export class SessionPool {
  readonly #deps: SessionPoolDeps;
  readonly #peers = new Map<SpiffeId, PeerEntry>();

  constructor(deps: SessionPoolDeps) {
    this.#deps = deps;
  }

  async sessionTo(peer: SpiffeId): Promise<PooledSession> {
    const entry = this.#entry(peer);
    const { current } = entry;
    if (current !== undefined && current.session.state === 'live') return { ok: true, dialled: current };
    if (entry.lastCause !== undefined && this.#deps.clock.monotonic() < entry.retryAt) {
      return { ok: false, cause: entry.lastCause };
    }
    entry.dialling ??= this.#dial(peer, entry).finally(() => {
      entry.dialling = undefined;
    });
    const result = await entry.dialling;
    return result.ok ? { ok: true, dialled: result } : result;
  }

  /** Something changed (signed state, own measurement): what was refused before may be accepted now. */
  retryAtOnce(): void {
    for (const entry of this.#peers.values()) {
      entry.retryAt = 0;
      entry.lastCause = undefined;
      entry.backoff.reset();
    }
  }

  /** Ends sessions that had no connection for so long. */
  closeIdle(afterMs: number): void {
    const now = this.#deps.clock.monotonic();
    for (const { current } of this.#peers.values()) {
      const session = current?.session;
      if (session?.state !== 'live' || session.connections.size > 0 || now - session.usedAt < afterMs) continue;
      this.#deps.end(session, rejection('IDLE', `no connection for ${Math.round(now - session.usedAt)} ms`));
    }
  }

  async #dial(peer: SpiffeId, entry: PeerEntry): Promise<DialResult> {
    const addresses = this.#deps.addressesOf(peer);
    let result: DialResult = {
      ok: false,
      cause: rejection('PEER_ADDRESS_UNKNOWN', `no address of ${peer} is configured, and the authority knows none`),
    };
    for (const address of this.#tries(entry, addresses)) {
      result = await this.#deps.dial({ peer, address });
      if (result.ok) entry.lastGood = address;
      if (result.ok || result.cause.self === true || SAME_FOR_ALL.has(result.cause.code)) break;
    }
    if (result.ok) {
      entry.current = result;
      entry.lastCause = undefined;
      entry.backoff.reset();
    } else {
      // What is wrong with ourselves is known without asking anybody; it needs no rest between two looks.
      if (result.cause.self === true) return result;
      entry.lastCause = result.cause;
      entry.retryAt = this.#deps.clock.monotonic() + entry.backoff.next();
    }
    return result;
  }

  /** The address that worked last comes first; a single one is tried again: behind it there may be many instances. */
  #tries({ lastGood }: PeerEntry, addresses: readonly string[]): readonly string[] {
    const ordered = addresses.toSorted((a, b) => Number(b === lastGood) - Number(a === lastGood));
    const rounds = ordered.length === 0 ? 0 : Math.ceil(MIN_DIALS / ordered.length);
    return Array.from({ length: rounds }, () => ordered)
      .flat()
      .slice(0, MAX_DIALS);
  }

  #entry(peer: SpiffeId): PeerEntry {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const entry: PeerEntry = {
      current: undefined,
      dialling: undefined,
      backoff: new Backoff({ random: this.#deps.random }),
      retryAt: 0,
      lastCause: undefined,
      lastGood: undefined,
    };
    this.#peers.set(peer, entry);
    return entry;
  }
}
