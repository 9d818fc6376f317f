import { after, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { Backoff, type RandomSource } from '../../platform/random.ts';
import type { DialResult, DialTarget } from '../exchange/dialler.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import type { Session } from './session.ts';
import type { SessionRegistry } from './session-registry.ts';

export interface SessionContinuityDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly registry: SessionRegistry;
  /** `x5t#S256` of the certificate that this instance shows on new connections. */
  readonly thumbprint: () => string;
  readonly dial: (target: DialTarget) => Promise<DialResult>;
}

/** What is under way for one session. */
interface Effort {
  readonly backoff: Backoff;
  cancel: (() => void) | undefined;
  running: Promise<boolean> | undefined;
  /** Something changed while an attempt was running: what it shows may be of before. */
  again: boolean;
  /** The certificate for which the dialler was asked to reconnect. */
  askedFor: string | undefined;
}

/**
 * After a rotation two hundred sessions need not go over in the same moment: each waits a random part of this share of
 * what is left of the shorter certificate, and no longer than so many milliseconds.
 */
const SPREAD_SHARE = 0.2;
const MAX_SPREAD_MS = 10_000;
const RETRY = { minMs: 200, maxMs: 10_000 } as const;

/**
 * Takes live sessions over to new certificates before the old ones end, while their connections stay open: the dialler
 * opens a new control connection, the acceptor asks for one. What fails is tried again until it succeeds or the session
 * ends; a session that nobody continued ends with the older of its certificates.
 */
export class SessionContinuity {
  readonly #deps: SessionContinuityDeps;
  readonly #efforts = new WeakMap<Session, Effort>();

  constructor(deps: SessionContinuityDeps) {
    this.#deps = deps;
  }

  /** After a rotation of our own certificate, and every second for what was being made at that moment. */
  follow(): void {
    const { registry, thumbprint } = this.#deps;
    const current = thumbprint();
    for (const session of registry.live()) {
      if (session.terms?.ours.thumbprint === current) continue;
      if (session.role === 'dialler') this.soon(session);
      else this.#ask(session, current);
    }
  }

  /** Either side shows another certificate now; there is time. */
  soon(session: Session): void {
    const effort = this.#effort(session);
    if (effort.running !== undefined) effort.again = true;
    if (effort.running !== undefined || effort.cancel !== undefined) return;
    this.#later(session, effort, this.#deps.random.uniform() * this.#spreadMs(session));
  }

  /** A connection cannot wait: it met a certificate of the peer that the session does not know. @returns whether it went on. */
  now(session: Session): Promise<boolean> {
    const effort = this.#effort(session);
    effort.cancel?.();
    effort.cancel = undefined;
    effort.running ??= this.#attempt(session).then((isContinued) => {
      effort.running = undefined;
      if (isContinued) effort.backoff.reset();
      if (session.state === 'live' && (!isContinued || effort.again)) {
        effort.again = false;
        this.#later(session, effort, effort.backoff.next());
      }
      return isContinued;
    });
    return effort.running;
  }

  #later(session: Session, effort: Effort, delayMs: number): void {
    const run = () => {
      effort.cancel = undefined;
      if (session.state === 'live') void this.now(session);
    };
    effort.cancel = after({ delayMs, run, keepAlive: false });
  }

  async #attempt(session: Session): Promise<boolean> {
    const { dial, logger, metrics } = this.#deps;
    const { peer, terms, remoteAddress } = session;
    if (session.state !== 'live') return false;
    // The very instance: behind the address that was dialled at first there may be many.
    const address = terms === undefined || terms.dataAddress === '' ? remoteAddress : terms.dataAddress;
    const made = await dial({ peer, address, continues: session });
    if (made.ok) return true;
    // It ended meanwhile, and why is on record.
    if (session.state !== 'live') return false;
    metrics.sessionContinuations.add({ direction: 'outbound', result: 'failed' });
    logger.warn('session_not_continued', {
      peer,
      sessionId: session.id,
      correlationId: session.correlationId,
      ...made.cause,
      endsAt: new Date(this.#endOf(session)).toISOString(),
    });
    return false;
  }

  #ask(session: Session, current: string): void {
    const effort = this.#effort(session);
    if (effort.askedFor === current) return;
    effort.askedFor = current;
    session.control.askToReconnect();
  }

  #spreadMs(session: Session): number {
    const leftMs = Math.max(0, this.#endOf(session) - this.#deps.clock.now());
    return Math.min(MAX_SPREAD_MS, leftMs * SPREAD_SHARE);
  }

  /** When the older of both certificates ends, milliseconds since the epoch. */
  #endOf({ certificate, terms }: Session): number {
    return Math.min(certificate.notAfter, terms?.ours.notAfter ?? Infinity);
  }

  #effort(session: Session): Effort {
    const known = this.#efforts.get(session);
    if (known !== undefined) return known;
    const backoff = new Backoff({ ...RETRY, random: this.#deps.random });
    const effort: Effort = { backoff, cancel: undefined, running: undefined, again: false, askedFor: undefined };
    this.#efforts.set(session, effort);
    return effort;
  }
}
