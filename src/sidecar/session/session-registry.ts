import { reconsider, type AdmissionPorts, type PeerPermit, type StandingChange } from '../../domain/admission.ts';
import { REJECTIONS, rejection, type Rejection, type RejectionCode } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { DecisionLog } from '../decision-log.ts';
import type { Session, SessionConnection } from './session.ts';

export interface SessionRegistryDeps {
  readonly clock: Clock;
  readonly ports: AdmissionPorts;
  readonly decisions: DecisionLog;
  /** Whether this sidecar itself may have sessions; `undefined`: yes. */
  readonly ownRejection: () => Rejection | undefined;
}

/** Endings after which open connections may finish what they are doing: nothing is wrong with the peer. */
const IN_GOOD_ORDER: ReadonlySet<RejectionCode> = new Set(['PEER_DRAINING', 'IDLE']);

/**
 * Every session of this sidecar, and the only place where one is accepted, judged again, or ended.
 *
 * A session is registered before it is first checked and judged again on every change, in one synchronous step with
 * the act that follows: there is no moment at which a change can fall between check and act.
 */
export class SessionRegistry {
  readonly #deps: SessionRegistryDeps;
  readonly #sessions = new Set<Session>();
  readonly #byId = new Map<string, Session>();
  readonly #watching = new Set<() => void>();
  readonly #waiting = new Map<Session, Set<() => void>>();
  #draining = false;

  constructor(deps: SessionRegistryDeps) {
    this.#deps = deps;
  }

  register(session: Session): void {
    this.#sessions.add(session);
    this.#refuseWhileDraining(session);
  }

  /**
   * We are going away: nobody gets a new session with us, while those that are live go on, are judged as ever, and may
   * still open connections. Each connection, open or to come, ends as soon as nothing is under way on it.
   */
  drain(): void {
    this.#draining = true;
    for (const { connections } of this.#sessions) for (const connection of connections) connection.finish();
  }

  /** Whether {@link drain} was called. */
  get draining(): boolean {
    return this.#draining;
  }

  /** @returns false if another session has this id already, which only a hostile peer can bring about. */
  name(session: Session, id: string): boolean {
    if (session.state === 'ended' || this.#byId.has(id)) return false;
    session.id = id;
    this.#byId.set(id, session);
    return true;
  }

  find(id: string): Session | undefined {
    return this.#byId.get(id);
  }

  all(): readonly Session[] {
    return [...this.#sessions];
  }

  live(): readonly Session[] {
    return this.all().filter((session) => session.state === 'live');
  }

  /**
   * Makes a session live if, at this very moment, its permit still holds and we ourselves are in order.
   *
   * @returns what stands against it, after having ended it for that; `undefined`: it is live.
   */
  accept(session: Session, permit: PeerPermit): Rejection | undefined {
    if (session.state === 'ended') return session.cause;
    const own = this.#deps.ownRejection() ?? this.#refuseWhileDraining(session);
    if (own !== undefined) return this.end(session, own);
    session.permit = permit;
    const refused = this.reconsider(session);
    if (refused !== undefined) return refused;
    session.state = 'live';
    session.acceptedAt = this.#deps.clock.now();
    session.usedAt = session.heardAt = this.#deps.clock.monotonic();
    this.#deps.decisions.admitted(session);
    this.#wake(session);
    return undefined;
  }

  /** Judges one session again, with what has changed of its peer, and ends it if it no longer stands. */
  reconsider(session: Session, change: StandingChange = {}): Rejection | undefined {
    const { permit } = session;
    if (session.state === 'ended') return session.cause;
    if (permit === undefined) return undefined;
    const { ports, clock } = this.#deps;
    const judged = reconsider(permit, change, { ports, monotonicNow: clock.monotonic() });
    if (!judged.admitted) return this.end(session, judged.rejection);
    const news = judged.permit.waived.filter(
      (waived) => !permit.waived.some((before) => sameRejection(before, waived)),
    );
    session.permit = judged.permit;
    if (session.state === 'live') for (const waived of news) this.#deps.decisions.observed(session, waived);
    return undefined;
  }

  /** After a change of the signed state, and every second for what only time changes. */
  reconsiderAll(): void {
    for (const session of this.all()) this.reconsider(session);
  }

  /**
   * Ends a session: its sockets are reset first, then the peer is told, then it is written down. Only the first cause
   * counts.
   *
   * @returns the cause on record.
   */
  end(session: Session, cause: Rejection): Rejection {
    return this.#endSome([session], cause) ?? session.cause ?? cause;
  }

  /** As {@link end}; no session's sockets wait for the paperwork of another. */
  endAll(cause: Rejection, which: (session: Session) => boolean = () => true): void {
    this.#endSome(this.all().filter(which), cause);
  }

  /**
   * Puts a connection under the session's ownership.
   *
   * @returns false, having reset it, if the session is not live.
   */
  own(session: Session, connection: SessionConnection): boolean {
    if (session.state !== 'live') {
      connection.reset();
      return false;
    }
    session.connections.add(connection);
    if (this.#draining) connection.finish();
    for (const changed of this.#watching) changed();
    return true;
  }

  release(session: Session, connection: SessionConnection): void {
    session.connections.delete(connection);
    session.usedAt = this.#deps.clock.monotonic();
    for (const changed of this.#watching) changed();
  }

  /** Resolves when a connection comes or goes: true; after `withinMs`, or when the signal aborts: false. */
  nextChange(withinMs: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (changed: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        this.#watching.delete(changes);
        resolve(changed);
      };
      const changes = () => done(true);
      const giveUp = () => done(false);
      const timer = setTimeout(giveUp, withinMs);
      this.#watching.add(changes);
      signal.addEventListener('abort', giveUp);
      if (signal.aborted) giveUp();
    });
  }

  /** Calls back when a live session ends. */
  onceEnded(session: Session, callback: () => void): void {
    if (session.state === 'ended') callback();
    else this.#waiting.set(session, (this.#waiting.get(session) ?? new Set()).add(callback));
  }

  /** Calls back once the session is no longer `proving`. */
  onceSettled(session: Session, callback: () => void): () => void {
    if (session.state !== 'proving') {
      callback();
      return () => undefined;
    }
    const callbacks = this.#waiting.get(session) ?? new Set();
    this.#waiting.set(session, callbacks.add(callback));
    return () => callbacks.delete(callback);
  }

  /** Whether a live session shows this certificate. */
  hasLive(thumbprint: string): boolean {
    return this.live().some(({ certificate }) => certificate.thumbprint === thumbprint);
  }

  /** Our own agent may still have somebody to call; whoever wants to call it has to go elsewhere. */
  #refuseWhileDraining(session: Session): Rejection | undefined {
    if (!this.#draining || session.role === 'dialler') return undefined;
    return this.end(session, rejection('PEER_DRAINING', 'this sidecar is shutting down and takes no new sessions'));
  }

  #endSome(sessions: readonly Session[], cause: Rejection): Rejection | undefined {
    const { clock, decisions } = this.#deps;
    const startedAt = clock.monotonic();
    const ending = sessions.filter((session) => session.state !== 'ended');
    const wasLive = new Set(ending.filter((session) => session.state === 'live'));
    for (const session of ending) {
      session.state = 'ended';
      session.cause = cause;
      this.#sessions.delete(session);
      if (session.id !== undefined) this.#byId.delete(session.id);
    }
    const cut = new Map(ending.map((session) => [session, session.connections.size]));
    if (!IN_GOOD_ORDER.has(cause.code)) {
      for (const session of ending) {
        for (const connection of session.connections) connection.reset();
        session.connections.clear();
      }
    }
    const lastSocketMs = clock.monotonic() - startedAt;
    const cutAt = clock.now();
    for (const session of ending) {
      // What is wrong with ourselves is no word about the peer: it hears that we are not to be had.
      const wire = cause.self === true ? 'UNAVAILABLE' : REJECTIONS[cause.code].wire;
      session.control.sayGoodbye({ reason: wire, correlationId: session.correlationId }, !wasLive.has(session));
      session.control.closeSoon();
    }
    for (const session of ending) {
      const facts = { connections: cut.get(session) ?? 0, enforcementMs: lastSocketMs, cutAt };
      if (wasLive.has(session)) decisions.terminated(session, cause, facts);
      else decisions.denied({ session, cause });
      this.#wake(session);
    }
    return ending.length > 0 ? cause : undefined;
  }

  #wake(session: Session): void {
    const callbacks = this.#waiting.get(session);
    this.#waiting.delete(session);
    for (const callback of callbacks ?? []) callback();
  }
}

function sameRejection(a: Rejection, b: Rejection): boolean {
  return a.code === b.code && JSON.stringify(a.differences) === JSON.stringify(b.differences);
}
