import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { DialResult, DialTarget } from '../exchange/dialler.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { isSameForAll } from './ill-health.ts';
import type { PeerPlaces } from './instances.ts';
import { OutlierEjection, type Ejection, type HealthOutcome } from './outlier-ejection.ts';
import { PeerSessions, type PeerView } from './peer-sessions.ts';
import type { Session } from './session.ts';

/** What a pool tells of itself. */
export interface PoolEvents {
  ejected(peer: SpiffeId, ejection: Ejection): void;
  returned(peer: SpiffeId, address: string): void;
  /** @param change `isOpen` false: connections are tried again, `cause` undefined then */
  circuit(peer: SpiffeId, change: { readonly isOpen: boolean; readonly cause: Rejection | undefined }): void;
}

/** How connections to a peer are spread; each at least 1. */
export interface Spreading {
  /** Instances that have a session with us at once. */
  readonly instances: number;
  /** Consecutive failures after which an instance is ejected, or a whole peer's circuit opens. */
  readonly ejectAfter: number;
}

export interface SessionPoolDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly addressesOf: (peer: SpiffeId) => PeerPlaces;
  readonly spreadingOf: (peer: SpiffeId) => Spreading;
  readonly dial: (target: DialTarget) => Promise<DialResult>;
  readonly end: (session: Session, cause: Rejection) => void;
  readonly events: PoolEvents;
}

/** What a gate tells of the calls on a session: whether the instance answered, whatever its answer to the caller was. */
export interface InstanceHealth {
  /** `failed`: UNAVAILABLE, 502 to 504, or a reset by the called agent, that neither sidecar brought about. */
  observe(session: Session, outcome: HealthOutcome): void;
}

/** So long a connection waits for the successor of an instance that left in good order; and how often it looks. */
const SUCCESSOR_MS = 10_000;
const LOOK_AGAIN_MS = 500;

/**
 * Sessions to peers, dialled when they are needed and shared by all connections to one instance. A peer that refused us is
 * left alone for a while, growing from one second to a minute, until something changes.
 */
export class SessionPool implements InstanceHealth {
  readonly #deps: SessionPoolDeps;
  readonly #peers = new Map<SpiffeId, PeerSessions>();
  readonly #owners = new WeakMap<Session, PeerSessions>();
  readonly #waiting = new Set<() => void>();

  constructor(deps: SessionPoolDeps) {
    this.#deps = deps;
  }

  /**
   * A live session for one more connection with the peer; how that fared must be told by {@link report}. Where the
   * instance that we had is going away, another is looked for; while there is none, the one that leaves serves on, and
   * after it the next is waited for, for a while: no call fails for a restart.
   *
   * @param avoid sessions on which this connection has failed already. Default: it is its first attempt
   */
  async sessionTo(peer: SpiffeId, avoid?: ReadonlySet<Session>): Promise<DialResult> {
    const sessions = this.#sessionsOf(peer);
    const askedAt = this.#deps.clock.monotonic();
    for (;;) {
      const result = await sessions.take(avoid);
      const { leaving } = sessions;
      if (result.ok || leaving === undefined || isSameForAll(result.cause)) return result;
      const { session, serves } = leaving;
      if (serves && session.state === 'live' && avoid?.has(session) !== true) return sessions.handOut(session);
      const isOver = this.#deps.clock.monotonic() - Math.min(leaving.heardAt, askedAt) > SUCCESSOR_MS;
      if (isOver || sessions.hasLive) return result;
      await this.#nextChange(LOOK_AGAIN_MS);
    }
  }

  /** How a connection fared that was sent to a session of {@link sessionTo}; `undefined`: the instance took it. */
  report(session: Session, cause: Rejection | undefined): void {
    this.#owners.get(session)?.report(session, cause);
  }

  /** Whether a session still gets new connections: one that was opened before may be used for something new. */
  accepts(session: Session): boolean {
    return this.#owners.get(session)?.accepts(session) ?? false;
  }

  /** A connection found no instance of the peer that took it, though there was a session. */
  gaveUp(peer: SpiffeId, cause: Rejection): void {
    this.#peers.get(peer)?.gaveUp(cause);
  }

  observe(session: Session, outcome: HealthOutcome): void {
    const detail = 'calls failed: UNAVAILABLE, 502 to 504, or reset by the agent';
    this.#owners.get(session)?.observe(session, { outcome, kind: 'call', detail });
  }

  /**
   * The peer's instance is going away: it gets no more connections of ours unless there is no other.
   *
   * @returns whether that is news, and concerns a session that we would have used.
   */
  leave(session: Session): boolean {
    return this.#owners.get(session)?.leave(session) ?? false;
  }

  /**
   * A connection of this session was refused: if its instance is going away, it is not asked again.
   *
   * @returns whether that is so, and the connection may be placed elsewhere whatever the cause was.
   */
  gaveUpLeaving(session: Session): boolean {
    return this.#owners.get(session)?.gaveUpLeaving(session) ?? false;
  }

  /** Something changed (signed state, own measurement): what was refused before may be accepted now. */
  retryAtOnce(): void {
    for (const sessions of this.#peers.values()) sessions.changed();
    for (const wake of this.#waiting) wake();
  }

  /**
   * New connections get another session; those that are open go on with this one, which ends with the last of them.
   * For a session whose instance is not where it was.
   */
  retire(session: Session): void {
    this.#owners.get(session)?.retire(session);
  }

  /** The peer is to be found elsewhere, or not to be called any more. */
  retirePeer(peer: SpiffeId): void {
    this.#peers.get(peer)?.retireAll();
  }

  /** Ends sessions that had no connection for so long, and retired ones that have none. */
  closeIdle(afterMs: number): void {
    for (const sessions of this.#peers.values()) {
      for (const { session, why } of sessions.idle(afterMs)) this.#deps.end(session, rejection('IDLE', why));
    }
  }

  /** For people: the peer's instances that we have something to do with, and whether its circuit is closed. */
  describe(peer: SpiffeId): PeerView {
    return this.#sessionsOf(peer).describe();
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

  #sessionsOf(peer: SpiffeId): PeerSessions {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const { clock, random, addressesOf, spreadingOf, dial, events } = this.#deps;
    const threshold = () => spreadingOf(peer).ejectAfter;
    const places = () => addressesOf(peer);
    const sessions: PeerSessions = new PeerSessions({
      clock,
      random,
      peer,
      places,
      most: () => (places().balanced ? 1 : spreadingOf(peer).instances),
      dial,
      ejection: new OutlierEjection({
        clock,
        random,
        threshold,
        // Behind a balancer an address says nothing about who answers.
        addresses: () => (places().balanced ? [] : places().addresses),
        onEjected: (ejection) => events.ejected(peer, ejection),
        onReturned: (address) => events.returned(peer, address),
      }),
      breaker: new CircuitBreaker({ clock, random, threshold, onChange: (change) => events.circuit(peer, change) }),
      besideBreaker: new CircuitBreaker({ clock, random, threshold }),
      onSession: (session) => void this.#owners.set(session, sessions),
    });
    this.#peers.set(peer, sessions);
    return sessions;
  }
}
