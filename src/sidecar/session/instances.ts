import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { OutlierEjection } from './outlier-ejection.ts';
import { byRank } from './rank.ts';
import type { Session } from './session.ts';

/** Where a peer is found; `balanced`: behind one address there may be many instances, and nobody knows which answers. */
export interface PeerPlaces {
  readonly addresses: readonly string[];
  readonly balanced: boolean;
}

export interface InstancesDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly places: () => PeerPlaces;
  readonly ejection: OutlierEjection;
  /** So many get connections of ours, at least 1. */
  readonly most: () => number;
}

/** An instance that we have a session with, under the address that it was dialled at. */
interface Member {
  readonly address: string;
  /** Connections that were sent there and have neither succeeded nor failed yet. */
  placing: number;
}

export interface Choice {
  /** Default: any may be chosen. */
  readonly avoid?: ReadonlySet<Session> | undefined;
  /** Whether one that failed often will do. Default false. */
  readonly ejectedToo?: boolean;
}

/**
 * One instance, for people. `live` gets connections; `ejected` does not for a while; `leaving` said that it goes away;
 * `retired` only finishes what is open; with `no_session` it could not be dialled the last time.
 */
export interface InstanceView {
  readonly address: string;
  readonly state: 'live' | 'ejected' | 'leaving' | 'retired' | 'no_session';
  readonly instance?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly connections: number;
  /** In a row. */
  readonly failures: number;
  /** What is left of it, ms; 0: it is not ejected. */
  readonly ejectedForMs: number;
  /** Empty: there was none. */
  readonly lastFailure: string;
}

/** The sessions that we have dialled with one peer's instances, and which of them the next connection goes to. */
export class Instances {
  readonly #deps: InstancesDeps;
  readonly #members = new Map<Session, Member>();
  readonly #retired = new Map<Session, Member>();

  constructor(deps: InstancesDeps) {
    this.#deps = deps;
  }

  /** Sessions that may get new connections, those with ejected instances included. */
  get live(): readonly Session[] {
    return [...this.#members.keys()].filter(({ state }) => state === 'live');
  }

  /** Of these, those with instances that are not ejected. */
  get usable(): readonly Session[] {
    const ejected = this.#deps.ejection.ejectedAmong(this.#deps.places().addresses);
    return this.live.filter((session) => !ejected.has(this.addressOf(session)));
  }

  get addressesInUse(): ReadonlySet<string> {
    return new Set(this.live.map((session) => this.addressOf(session)));
  }

  has(session: Session): boolean {
    return this.#members.has(session);
  }

  /** Whether a session may get new connections, and its instance is not ejected. */
  accepts(session: Session): boolean {
    const member = this.#members.get(session);
    if (member === undefined || session.state !== 'live') return false;
    return !this.#deps.ejection.ejectedAmong(this.#deps.places().addresses).has(member.address);
  }

  /** Where its instance was dialled. */
  addressOf(session: Session): string {
    return this.#memberOf(session)?.address ?? session.remoteAddress;
  }

  /** Connections that are open, or about to be. */
  loadOf(session: Session): number {
    return session.connections.size + (this.#memberOf(session)?.placing ?? 0);
  }

  add(session: Session, address: string): void {
    this.#members.set(session, { address, placing: 0 });
    this.#shrink(session);
  }

  retire(session: Session): void {
    const member = this.#members.get(session);
    if (member === undefined) return;
    this.#members.delete(session);
    this.#retired.set(session, member);
  }

  /** A connection is sent there: it counts from now on, and it is not the moment to find the session idle. */
  handOut(session: Session): void {
    session.usedAt = this.#deps.clock.monotonic();
    const member = this.#memberOf(session);
    if (member !== undefined) member.placing += 1;
  }

  /** The connection is open there, or never will be. */
  settled(session: Session): void {
    const member = this.#memberOf(session);
    if (member !== undefined) member.placing = Math.max(0, member.placing - 1);
  }

  /** The one with the fewest connections; among equals, chance decides. */
  choose({ avoid, ejectedToo = false }: Choice): Session | undefined {
    const candidates = (ejectedToo ? this.live : this.usable).filter((session) => avoid?.has(session) !== true);
    if (candidates.length < 2) return candidates[0];
    const least = Math.min(...candidates.map((session) => this.loadOf(session)));
    const equals = candidates.filter((session) => this.loadOf(session) === least);
    return equals[Math.floor(this.#deps.random.uniform() * equals.length)];
  }

  /** Live sessions that nothing was open on for so long. */
  idle(afterMs: number): readonly Session[] {
    const now = this.#deps.clock.monotonic();
    return this.live.filter((session) => this.loadOf(session) === 0 && now - session.usedAt >= afterMs);
  }

  /** Retired sessions that have nothing left to finish. */
  get finished(): readonly Session[] {
    return [...this.#retired.keys()].filter((session) => session.state !== 'ended' && this.loadOf(session) === 0);
  }

  /** Forgets what has ended, and lets go of sessions that are too many by now. */
  tidy(): void {
    const { ejection, places } = this.#deps;
    for (const sessions of [this.#members, this.#retired]) {
      for (const session of sessions.keys()) if (session.state === 'ended') sessions.delete(session);
    }
    this.#shrink();
    const dialled = [...this.#members.values(), ...this.#retired.values()].map(({ address }) => address);
    ejection.keep(new Set([...places().addresses, ...dialled]));
  }

  /** Every instance that we have something to do with; not all that are known. */
  describe(leaving: Session | undefined): readonly InstanceView[] {
    const { ejection, places } = this.#deps;
    const { addresses } = places();
    const ejected = ejection.ejectedAmong(addresses);
    const stateOf = (session: Session, address: string): InstanceView['state'] => {
      if (session === leaving) return 'leaving';
      if (this.#retired.has(session)) return 'retired';
      return ejected.has(address) ? 'ejected' : 'live';
    };
    const sessions = [...this.#members, ...this.#retired].filter(([{ state }]) => state === 'live');
    const shown = new Set(sessions.map(([, { address }]) => address));
    const troubled = addresses.filter((address) => !shown.has(address) && ejection.failuresOf(address) > 0);
    return [
      ...sessions.map(([session, { address }]) => ({
        address,
        state: stateOf(session, address),
        instance: session.peerInstance,
        sessionId: session.id,
        connections: session.connections.size,
        ...ejection.describe(address),
      })),
      ...troubled.map((address) => {
        const state = ejected.has(address) ? ('ejected' as const) : ('no_session' as const);
        return { address, state, connections: 0, ...ejection.describe(address) };
      }),
    ];
  }

  #memberOf(session: Session): Member | undefined {
    return this.#members.get(session) ?? this.#retired.get(session);
  }

  /** Lets go of the worst where there are too many: ejected, failed most often, or least in use, in this order. */
  #shrink(newest?: Session): void {
    const { ejection, most } = this.#deps;
    const surplus = this.live.length - most();
    if (surplus <= 0) return;
    const usable = new Set(this.usable);
    const rank = (session: Session) => [
      Number(usable.has(session)),
      -ejection.failuresOf(this.addressOf(session)),
      this.loadOf(session),
    ];
    const others = this.live.filter((session) => session !== newest);
    for (const session of byRank(others, rank).slice(0, surplus)) this.retire(session);
  }
}
