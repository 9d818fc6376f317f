import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection, type RejectionCode } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { Backoff, type RandomSource } from '../../platform/random.ts';
import type { Session } from './session.ts';
import type { DialResult, DialTarget } from '../exchange/dialler.ts';

export interface SessionPoolDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Addresses of a peer; `balanced`: behind one of them there may be many instances. */
  readonly addressesOf: (peer: SpiffeId) => { readonly addresses: readonly string[]; readonly balanced: boolean };
  readonly dial: (target: DialTarget) => Promise<DialResult>;
  readonly end: (session: Session, cause: Rejection) => void;
}

/** One attempt to get a session dials so often, and begins no further dial after so long. */
const DIALS_OF_BALANCED = 3;
const MAX_DIALS = 8;
const MAX_DIALLING_MS = 5000;

/** No other instance of the peer would change it. */
const SAME_FOR_ALL: ReadonlySet<RejectionCode> = new Set(['STATE_MISSING', 'STATE_STALE', 'GRANT_MISSING']);

interface PeerEntry {
  current: Session | undefined;
  dialling: Promise<DialResult> | undefined;
  readonly backoff: Backoff;
  /** Our monotonic clock; before then the last refusal is the answer. */
  retryAt: number;
  lastCause: Rejection | undefined;
  lastGood: string | undefined;
}

/**
 * Sessions to peers, dialled when they are needed and shared by all connections to one peer. A peer that refused us is
 * left alone for a while, growing from one second to a minute, until something changes.
 */
export class SessionPool {
  readonly #deps: SessionPoolDeps;
  readonly #peers = new Map<SpiffeId, PeerEntry>();
  readonly #retired = new Set<Session>();
  /** How often something changed; an answer to a question of before says nothing about now. */
  #changes = 0;

  constructor(deps: SessionPoolDeps) {
    this.#deps = deps;
  }

  async sessionTo(peer: SpiffeId): Promise<DialResult> {
    const entry = this.#entry(peer);
    const { current } = entry;
    if (current?.state === 'live') {
      // It is about to be used: not the moment to find it idle.
      current.usedAt = this.#deps.clock.monotonic();
      return { ok: true, session: current };
    }
    if (entry.lastCause !== undefined && this.#deps.clock.monotonic() < entry.retryAt) {
      return { ok: false, cause: entry.lastCause };
    }
    entry.dialling ??= this.#dial(peer, entry).finally(() => {
      entry.dialling = undefined;
    });
    return entry.dialling;
  }

  /** Something changed (signed state, own measurement): what was refused before may be accepted now. */
  retryAtOnce(): void {
    this.#changes += 1;
    for (const entry of this.#peers.values()) {
      entry.retryAt = 0;
      entry.lastCause = undefined;
      entry.backoff.reset();
    }
  }

  /**
   * New connections get another session; those that are open go on with this one, which ends with the last of them.
   * For a session whose instance is not where it was.
   */
  retire(session: Session): void {
    for (const entry of this.#peers.values()) {
      if (entry.current !== session) continue;
      entry.current = undefined;
      this.#retired.add(session);
    }
  }

  /** Ends sessions that had no connection for so long, and retired ones that have none. */
  closeIdle(afterMs: number): void {
    const now = this.#deps.clock.monotonic();
    for (const session of this.#retired) {
      if (session.state === 'ended') this.#retired.delete(session);
      else if (session.connections.size === 0)
        this.#deps.end(session, rejection('IDLE', 'another session has taken its place'));
    }
    for (const { current: session } of this.#peers.values()) {
      if (session?.state !== 'live' || session.connections.size > 0 || now - session.usedAt < afterMs) continue;
      this.#deps.end(session, rejection('IDLE', `no connection for ${Math.round(now - session.usedAt)} ms`));
    }
  }

  async #dial(peer: SpiffeId, entry: PeerEntry): Promise<DialResult> {
    const until = this.#deps.clock.monotonic() + MAX_DIALLING_MS;
    const changes = this.#changes;
    let result: DialResult = {
      ok: false,
      cause: rejection('PEER_ADDRESS_UNKNOWN', `no address of ${peer} is configured, and the authority knows none`),
    };
    for (const address of this.#tries(peer, entry)) {
      if (this.#deps.clock.monotonic() > until) break;
      result = await this.#deps.dial({ peer, address });
      if (result.ok) entry.lastGood = address;
      if (result.ok || result.cause.self === true || SAME_FOR_ALL.has(result.cause.code)) break;
    }
    if (result.ok) {
      entry.current = result.session;
      entry.lastCause = undefined;
      entry.backoff.reset();
    } else {
      // What is wrong with ourselves is known without asking anybody; it needs no rest between two looks.
      if (result.cause.self === true || changes !== this.#changes) return result;
      entry.lastCause = result.cause;
      entry.retryAt = this.#deps.clock.monotonic() + entry.backoff.next();
    }
    return result;
  }

  /** The address that worked last comes first; one that is a balancer's is tried again: it may lead elsewhere. */
  #tries(peer: SpiffeId, { lastGood }: PeerEntry): readonly string[] {
    const { addresses, balanced } = this.#deps.addressesOf(peer);
    const ordered = addresses.toSorted((a, b) => Number(b === lastGood) - Number(a === lastGood));
    return (balanced ? Array.from({ length: DIALS_OF_BALANCED }, () => ordered).flat() : ordered).slice(0, MAX_DIALS);
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
