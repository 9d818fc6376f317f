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
/** So long a connection waits for the successor of an instance that left in good order; and how often it looks. */
const SUCCESSOR_MS = 10_000;
const LOOK_AGAIN_MS = 500;

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
  leaving: Leaving | undefined;
}

/** The instance that was ours until it said that it is going away. */
interface Leaving {
  readonly session: Session;
  readonly address: string;
  /** Our monotonic clock when it last said so. */
  readonly heardAt: number;
  /** False once it refused a connection: its agent may be gone already. */
  readonly serves: boolean;
}

/**
 * Sessions to peers, dialled when they are needed and shared by all connections to one peer. A peer that refused us is
 * left alone for a while, growing from one second to a minute, until something changes.
 */
export class SessionPool {
  readonly #deps: SessionPoolDeps;
  readonly #peers = new Map<SpiffeId, PeerEntry>();
  readonly #retired = new Set<Session>();
  readonly #waiting = new Set<() => void>();
  /** How often something changed; an answer to a question of before says nothing about now. */
  #changes = 0;

  constructor(deps: SessionPoolDeps) {
    this.#deps = deps;
  }

  /**
   * A live session with the peer. Where the instance that we had is going away, another is looked for; while there is
   * none, the one that leaves serves on, and after it the next is waited for, for a while: no call fails for a restart.
   */
  async sessionTo(peer: SpiffeId): Promise<DialResult> {
    const entry = this.#entry(peer);
    const askedAt = this.#deps.clock.monotonic();
    for (;;) {
      const result = await this.#sessionNow(peer, entry);
      const { leaving } = entry;
      if (result.ok || leaving === undefined) return result;
      if (result.cause.self === true || SAME_FOR_ALL.has(result.cause.code)) return result;
      const { session, serves } = leaving;
      if (serves && session.state === 'live') return { ok: true, session };
      if (this.#deps.clock.monotonic() - Math.min(leaving.heardAt, askedAt) > SUCCESSOR_MS) return result;
      await this.#nextChange(LOOK_AGAIN_MS);
    }
  }

  /**
   * The peer's instance is going away: it gets no more connections of ours unless there is no other.
   *
   * @returns whether that is news, and concerns a session that we would have used.
   */
  leave(session: Session): boolean {
    let isNews = false;
    for (const entry of this.#peers.values()) {
      isNews ||= entry.current === session;
      if (entry.current !== session && entry.leaving?.session !== session) continue;
      const heardAt = this.#deps.clock.monotonic();
      entry.leaving = { serves: true, ...entry.leaving, session, address: session.remoteAddress, heardAt };
      // Another instance may have been refused a moment ago; it is all the more wanted now.
      entry.retryAt = 0;
      this.retire(session);
    }
    return isNews;
  }

  /**
   * A connection of this session was refused: if its instance is going away, it is not asked again.
   *
   * @returns whether that is so, and the connection may be placed elsewhere whatever the cause was.
   */
  gaveUpLeaving(session: Session): boolean {
    for (const entry of this.#peers.values()) {
      if (entry.leaving?.session !== session) continue;
      entry.leaving = { ...entry.leaving, serves: false };
      return true;
    }
    return false;
  }

  async #sessionNow(peer: SpiffeId, entry: PeerEntry): Promise<DialResult> {
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
    for (const wake of this.#waiting) wake();
  }

  #nextChange(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#waiting.add(done);
    });
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

  /** The peer is to be found elsewhere, or not to be called any more. */
  retirePeer(peer: SpiffeId): void {
    const current = this.#peers.get(peer)?.current;
    if (current !== undefined) this.retire(current);
  }

  /** Ends sessions that had no connection for so long, and retired ones that have none. */
  closeIdle(afterMs: number): void {
    const now = this.#deps.clock.monotonic();
    for (const session of this.#retired) {
      if (session.state === 'ended') this.#retired.delete(session);
      else if (session.connections.size === 0 && !this.#isLastResort(session))
        this.#deps.end(session, rejection('IDLE', 'another session has taken its place'));
    }
    for (const { current: session } of this.#peers.values()) {
      if (session?.state !== 'live' || session.connections.size > 0 || now - session.usedAt < afterMs) continue;
      this.#deps.end(session, rejection('IDLE', `no connection for ${Math.round(now - session.usedAt)} ms`));
    }
  }

  /** Whether it is all there is of a peer whose instance is leaving. */
  #isLastResort(session: Session): boolean {
    return [...this.#peers.values()].some(({ leaving }) => leaving?.session === session && leaving.serves);
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
      entry.leaving = undefined;
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

  /**
   * The address that worked last comes first, one whose instance is leaving last; a balancer's is tried again: it may lead
   * elsewhere.
   */
  #tries(peer: SpiffeId, { lastGood, leaving }: PeerEntry): readonly string[] {
    const { addresses, balanced } = this.#deps.addressesOf(peer);
    const rank = (address: string) => (address === leaving?.address ? 2 : address === lastGood ? 0 : 1);
    const ordered = addresses.toSorted((a, b) => rank(a) - rank(b));
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
      leaving: undefined,
    };
    this.#peers.set(peer, entry);
    return entry;
  }
}
