import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { DialResult, DialTarget } from '../exchange/dialler.ts';
import type { CircuitBreaker, CircuitState } from './circuit-breaker.ts';
import { isIllHealth, isSameForAll } from './ill-health.ts';
import { Instances, type InstancesDeps, type InstanceView } from './instances.ts';
import type { Observation } from './outlier-ejection.ts';
import { byRank } from './rank.ts';
import type { Session } from './session.ts';

export interface PeerSessionsDeps extends InstancesDeps {
  readonly peer: SpiffeId;
  readonly dial: (target: DialTarget) => Promise<DialResult>;
  /** Of the peer as a whole: no session, or no instance that takes a connection. */
  readonly breaker: CircuitBreaker;
  /** Of dials beside a session that is live: an instance that cannot be had is no reason to refuse connections. */
  readonly besideBreaker: CircuitBreaker;
  /** There is a session more. */
  readonly onSession: (session: Session) => void;
}

/** The instance that was ours until it said that it is going away. */
export interface Leaving {
  readonly session: Session;
  readonly address: string;
  /** Our monotonic clock when it last said so. */
  readonly heardAt: number;
  /** False once it refused a connection: its agent may be gone already. */
  readonly serves: boolean;
}

interface Dialling {
  readonly result: Promise<DialResult>;
  readonly isBeside: boolean;
}

/** One peer, for people. */
export interface PeerView {
  readonly circuit: CircuitState;
  /** When it is tried again, ms; 0: now. */
  readonly retryInMs: number;
  readonly lastCause?: Rejection;
  /** How many addresses configuration or authority know. */
  readonly known: number;
  readonly instances: readonly InstanceView[];
}

/**
 * One attempt to get a session dials so often, and begins no further dial after so long; but one that hangs never
 * keeps us from asking a second.
 */
const DIALS_OF_BALANCED = 3;
const MAX_DIALS = 8;
const MIN_DIALS = 2;
const MAX_DIALLING_MS = 5000;

/**
 * How one peer is dialled. Where several of its instances are known, a second is dialled as soon as the first is in use,
 * and so on: no connection waits for that. Each goes to the instance that has the fewest.
 */
export class PeerSessions {
  readonly #deps: PeerSessionsDeps;
  readonly #instances: Instances;
  #dialling: Dialling | undefined;
  #lastGood: string | undefined;
  #leaving: Leaving | undefined;
  /** How often something changed; an answer to a question of before says nothing about now. */
  #changes = 0;

  constructor(deps: PeerSessionsDeps) {
    this.#deps = deps;
    this.#instances = new Instances(deps);
  }

  get leaving(): Leaving | undefined {
    return this.#leaving;
  }

  /** Whether there is a session that gets new connections, be its instance ejected or not. */
  get hasLive(): boolean {
    return this.#instances.live.length > 0;
  }

  /**
   * The session for one more connection, dialled if there is none.
   *
   * @param avoid sessions that this very connection has failed on; given, it was let through by the circuit breaker before
   */
  async take(avoid?: ReadonlySet<Session>): Promise<DialResult> {
    const refused = avoid === undefined ? this.#deps.breaker.refusal() : undefined;
    if (refused !== undefined) return { ok: false, cause: refused };
    const chosen = this.#instances.choose({ avoid });
    if (chosen !== undefined) return this.#handOutGrowing(chosen);
    const another = await this.#another(avoid);
    if (another.ok) return this.#handOutGrowing(another.session);
    // Better one that failed often than nobody.
    const resort = this.#instances.choose({ avoid, ejectedToo: true });
    return resort === undefined ? another : this.handOut(resort);
  }

  handOut(session: Session): DialResult {
    this.#instances.handOut(session);
    return { ok: true, session };
  }

  /** Whether connections still go there. */
  accepts(session: Session): boolean {
    return this.#instances.accepts(session);
  }

  /** How a connection that was handed out fared. */
  report(session: Session, cause: Rejection | undefined): void {
    this.#instances.settled(session);
    if (cause === undefined) {
      this.observe(session, { outcome: 'ok', kind: 'connection' });
      this.#deps.breaker.close();
    } else if (isIllHealth(cause)) this.#failedAt(this.#instances.addressOf(session), cause);
  }

  observe(session: Session, observation: Observation): void {
    this.#deps.ejection.observe(this.#instances.addressOf(session), observation);
  }

  /** A connection found no instance that took it. */
  gaveUp(cause: Rejection): void {
    if (isIllHealth(cause)) this.#deps.breaker.failed(cause, { atExchange: false });
    else this.#deps.breaker.settled();
  }

  /** @returns whether that is news, and concerns a session that we would have used. */
  leave(session: Session): boolean {
    const isNews = this.#instances.has(session);
    const before = this.#leaving?.session === session ? this.#leaving : undefined;
    if (!isNews && before === undefined) return false;
    const address = this.#instances.addressOf(session);
    const heardAt = this.#deps.clock.monotonic();
    this.#leaving = { session, address, heardAt, serves: before?.serves ?? true };
    // Another instance may have been refused a moment ago; it is all the more wanted now.
    this.#deps.breaker.wake();
    this.#deps.besideBreaker.wake();
    this.retire(session);
    return isNews;
  }

  /** @returns whether it is the one that is leaving; it is not asked again then. */
  gaveUpLeaving(session: Session): boolean {
    if (this.#leaving?.session !== session) return false;
    this.#leaving = { ...this.#leaving, serves: false };
    return true;
  }

  retire(session: Session): void {
    this.#instances.retire(session);
  }

  retireAll(): void {
    for (const session of this.#instances.live) this.retire(session);
  }

  changed(): void {
    this.#changes += 1;
    this.#deps.breaker.close();
    this.#deps.besideBreaker.close();
  }

  /** Sessions to be ended: retired ones that have nothing left to finish, and those that are idle for so long. */
  idle(afterMs: number): readonly { readonly session: Session; readonly why: string }[] {
    this.#instances.tidy();
    const now = this.#deps.clock.monotonic();
    const finished = this.#instances.finished.filter((session) => !this.#isLastResort(session));
    return [
      ...finished.map((session) => ({ session, why: 'another session has taken its place' })),
      ...this.#instances.idle(afterMs).map((session) => {
        return { session, why: `no connection for ${Math.round(now - session.usedAt)} ms` };
      }),
    ];
  }

  describe(): PeerView {
    const { breaker, places } = this.#deps;
    return {
      circuit: breaker.state,
      retryInMs: Math.ceil(breaker.restsForMs),
      ...(breaker.cause !== undefined && { lastCause: breaker.cause }),
      known: places().addresses.length,
      instances: this.#instances.describe(this.#leaving?.session),
    };
  }

  /** Where a session is in use already, the connections to come get one more. */
  #handOutGrowing(session: Session): DialResult {
    if (this.#instances.loadOf(session) > 0) this.#growBeside();
    return this.handOut(session);
  }

  /** One more session; no connection waits for it. */
  #growBeside(): void {
    const { besideBreaker, most } = this.#deps;
    if (this.#dialling !== undefined || besideBreaker.restsForMs > 0) return;
    if (this.#instances.usable.length >= most() || this.#tries(true).length === 0) return;
    if (besideBreaker.refusal() === undefined) void this.#begin(true);
  }

  /** A session with an instance that we have none with. */
  async #another(avoid?: ReadonlySet<Session>): Promise<DialResult> {
    const joined = this.#dialling;
    if (joined !== undefined) {
      const result = await joined.result;
      if (!result.ok && !joined.isBeside) return result;
      const chosen = this.#instances.choose({ avoid });
      if (chosen !== undefined) return { ok: true, session: chosen };
    }
    const isBeside = this.hasLive;
    if (isBeside && this.#dialling === undefined) {
      if (this.#tries(true).length === 0) {
        return { ok: false, cause: rejection('PEER_UNREACHABLE', `no other instance of ${this.#deps.peer} is known`) };
      }
      const refused = this.#deps.besideBreaker.refusal();
      if (refused !== undefined) return { ok: false, cause: refused };
    }
    return this.#begin(isBeside);
  }

  #begin(isBeside: boolean): Promise<DialResult> {
    this.#dialling ??= {
      isBeside,
      result: this.#dial(isBeside).finally(() => {
        this.#dialling = undefined;
      }),
    };
    return this.#dialling.result;
  }

  async #dial(isBeside: boolean): Promise<DialResult> {
    const { clock, peer, dial } = this.#deps;
    const breaker = isBeside ? this.#deps.besideBreaker : this.#deps.breaker;
    const until = clock.monotonic() + MAX_DIALLING_MS;
    const changes = this.#changes;
    let result: DialResult = {
      ok: false,
      cause: rejection('PEER_ADDRESS_UNKNOWN', `no address of ${peer} is configured, and the authority knows none`),
    };
    for (const [index, address] of this.#tries(isBeside).entries()) {
      if (index >= MIN_DIALS && clock.monotonic() > until) break;
      result = await dial({ peer, address });
      if (result.ok) {
        this.#admit(result.session, address);
        break;
      }
      if (isIllHealth(result.cause)) this.#failedAt(address, result.cause);
      if (isSameForAll(result.cause)) break;
    }
    if (result.ok) breaker.exchanged();
    // What is wrong with ourselves is known without asking anybody; it needs no rest between two looks.
    else if (result.cause.self === true || changes !== this.#changes) breaker.settled();
    else breaker.failed(result.cause, { atExchange: true });
    return result;
  }

  #admit(session: Session, address: string): void {
    this.#lastGood = address;
    this.#leaving = undefined;
    this.#instances.add(session, address);
    this.#deps.onSession(session);
  }

  #failedAt(address: string, { code, detail }: Rejection): void {
    this.#deps.ejection.observe(address, {
      outcome: 'failed',
      kind: 'connection',
      detail: `${code}: ${detail}`,
    });
  }

  /**
   * The address that worked last comes first, one whose instance is leaving last, an ejected one just before it; among
   * equals chance decides, so that not all callers choose the same. A balancer's is tried again: it may lead elsewhere.
   *
   * @param isBeside whether only instances are of interest that we have no session with
   */
  #tries(isBeside: boolean): readonly string[] {
    const { ejection, random, places } = this.#deps;
    const { addresses, balanced } = places();
    if (balanced) {
      const again = Array.from({ length: DIALS_OF_BALANCED }, () => addresses).flat();
      return isBeside ? [] : again.slice(0, MAX_DIALS);
    }
    const [ejected, inUse] = [ejection.ejectedAmong(addresses), this.#instances.addressesInUse];
    const leaving = this.#leaving?.address;
    const isFree = (address: string) => !inUse.has(address) && !ejected.has(address) && address !== leaving;
    const rank = (address: string) => {
      const failures = ejection.failuresOf(address);
      const isLastGood = address === this.#lastGood && failures === 0 && !isBeside;
      return [Number(address === leaving), Number(ejected.has(address)), isLastGood ? -1 : failures, random.uniform()];
    };
    return byRank(isBeside ? addresses.filter(isFree) : addresses, rank).slice(0, MAX_DIALS);
  }

  /** Whether it is all there is of a peer whose instance is leaving. */
  #isLastResort(session: Session): boolean {
    return this.#leaving?.session === session && this.#leaving.serves && !this.hasLive;
  }
}
