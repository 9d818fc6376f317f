import { reconsider, type AdmissionPorts, type StandingChange } from '../../domain/admission.ts';
import { REJECTIONS, rejection, type Rejection } from '../../domain/rejection.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { DecisionLog } from '../decision-log.ts';
import { IN_GOOD_ORDER, type ControlLink, type Session, type SessionConnection, type SessionTerms } from './session.ts';

export interface SessionRegistryDeps {
  readonly clock: Clock;
  readonly ports: AdmissionPorts;
  readonly decisions: DecisionLog;
  /** Whether this sidecar itself may have sessions; `undefined`: yes. */
  readonly ownRejection: () => Rejection | undefined;
}

/** The dialler closes the control connection that was continued elsewhere; if it does not, we do, in milliseconds. */
const SUPERSEDED_MS = 5000;

export type Acceptance =
  { readonly ok: true; readonly session: Session } | { readonly ok: false; readonly cause: Rejection };

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
  }

  /**
   * We are going away: nobody gets a new session with us, while those that are live go on, also under other certificates,
   * are judged as ever, and may still open connections. Each connection, open or to come, ends as soon as nothing is under way on it.
   */
  drain(): void {
    this.#draining = true;
    for (const { connections } of this.#sessions) for (const connection of connections) connection.finish();
  }

  /**
   * Ends an exchange that would make a new session while we are going away. Our own agent may still have somebody to call;
   * whoever wants to call it has to go elsewhere, but for those who already do and only go over to another certificate.
   *
   * @returns the cause on record; `undefined`: it may go on.
   */
  refuseWhileDraining(session: Session): Rejection | undefined {
    if (!this.#draining || session.role === 'dialler' || session.continues !== undefined) return undefined;
    return this.end(session, rejection('PEER_DRAINING', 'this sidecar is shutting down and takes no new sessions'));
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
   * @returns the live session, which is the one that the exchange continued, if it did; or what stands against it,
   * after having ended the exchange for that.
   */
  accept(session: Session, terms: SessionTerms): Acceptance {
    if (session.state === 'ended') return { ok: false, cause: session.cause ?? NOT_LIVE };
    const own = this.#deps.ownRejection() ?? this.refuseWhileDraining(session);
    if (own !== undefined) return { ok: false, cause: this.end(session, own) };
    session.terms = terms;
    session.permit = terms.permit;
    const refused = this.reconsider(session);
    if (refused !== undefined) return { ok: false, cause: refused };
    if (session.continues !== undefined) return this.#continue(session.continues, session, terms);
    session.state = 'live';
    session.acceptedAt = this.#deps.clock.now();
    session.usedAt = session.heardAt = this.#deps.clock.monotonic();
    this.#deps.decisions.admitted(session);
    this.#wake(session);
    return { ok: true, session };
  }

  /** The exchange becomes the session's control connection; what is open under older certificates stays open. */
  #continue(session: Session, exchange: Session, terms: SessionTerms): Acceptance {
    if (session.state !== 'live') return { ok: false, cause: this.end(exchange, NOT_LIVE) };
    if (session.peerInstance !== exchange.peerInstance) {
      const detail = `the session is with instance ${session.peerInstance}, ${exchange.peerInstance} answered`;
      return { ok: false, cause: this.end(exchange, rejection('WRONG_INSTANCE', detail)) };
    }
    const { certificate, control } = session;
    if (certificate.thumbprint !== exchange.certificate.thumbprint) {
      session.earlier.set(certificate.thumbprint, certificate.notAfter);
    }
    session.earlier.delete(exchange.certificate.thumbprint);
    session.certificate = exchange.certificate;
    session.control = exchange.control;
    session.remoteAddress = exchange.remoteAddress;
    session.terms = terms;
    session.permit = exchange.permit;
    session.heardAt = session.continuedAt = this.#deps.clock.monotonic();
    exchange.state = 'ended';
    this.#forget(exchange);
    if (session.role === 'dialler') control.closeSoon();
    else after({ delayMs: SUPERSEDED_MS, run: () => control.closeSoon(), keepAlive: false });
    this.#deps.decisions.continued(session, exchange);
    this.#wake(exchange);
    const cause = this.reconsider(session, { earlier: [...session.earlier.keys()] });
    return cause === undefined ? { ok: true, session } : { ok: false, cause };
  }

  /** A control connection has closed: the session that it is the last one of is lost. */
  controlClosed(control: ControlLink): void {
    for (const session of this.#sessions) {
      if (session.control === control) this.end(session, rejection('PEER_LOST', 'the control connection closed'));
    }
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
    for (const connection of session.connections) connection.reconsider();
    return undefined;
  }

  /** After a change of the signed state, and every second for what only time changes. */
  reconsiderAll(): void {
    const now = this.#deps.clock.now();
    for (const session of this.all()) {
      for (const [thumbprint, notAfter] of session.earlier) {
        if (notAfter <= now) session.earlier.delete(thumbprint);
      }
      const ours = session.terms?.ours;
      if (ours !== undefined && now >= ours.notAfter) this.end(session, ownCertificateEnded(ours.notAfter, now));
      else this.reconsider(session, { earlier: [...session.earlier.keys()] });
    }
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
    return this.live().some((session) => session.hasShown(thumbprint));
  }

  #endSome(sessions: readonly Session[], cause: Rejection): Rejection | undefined {
    const { clock, decisions } = this.#deps;
    const startedAt = clock.monotonic();
    const ending = sessions.filter((session) => session.state !== 'ended');
    const wasLive = new Set(ending.filter((session) => session.state === 'live'));
    for (const session of ending) {
      session.state = 'ended';
      session.cause = cause;
      this.#forget(session);
    }
    const cut = new Map(ending.map((session) => [session, session.connections.size]));
    if (!IN_GOOD_ORDER.has(cause.code)) {
      for (const session of ending) {
        for (const connection of session.connections) connection.reset(cause);
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

  #forget(session: Session): void {
    this.#sessions.delete(session);
    if (session.id !== undefined) this.#byId.delete(session.id);
  }

  #wake(session: Session): void {
    const callbacks = this.#waiting.get(session);
    this.#waiting.delete(session);
    for (const callback of callbacks ?? []) callback();
  }
}

const NOT_LIVE = rejection('CONTINUATION_UNKNOWN', 'the session has ended meanwhile');

function ownCertificateEnded(notAfter: number, now: number): Rejection {
  const clocks = { ours: now, theirs: notAfter, what: 'end of our certificate' };
  return rejection(
    'CERTIFICATE_EXPIRED',
    'our own certificate ended, and the session was not continued under another',
    {
      self: true,
      clocks,
    },
  );
}

function sameRejection(a: Rejection, b: Rejection): boolean {
  return a.code === b.code && JSON.stringify(a.differences) === JSON.stringify(b.differences);
}
