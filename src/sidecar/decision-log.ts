import type { SpiffeId } from '../domain/agent-id.ts';
import { agentNameOf, kindOf, trustDomainOf } from '../domain/agent-id.ts';
import type { InUseDifference } from '../domain/inference/in-use.ts';
import type { Role } from '../domain/identity-token.ts';
import type { Dimension } from '../domain/measurement.ts';
import { REJECTIONS, driftDimension, type Rejection } from '../domain/rejection.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import { RateLimit } from '../platform/rate-limit.ts';
import type { Direction, SidecarMetrics } from './sidecar-metrics.ts';
import type { DecidedCall } from './calls/decided-call.ts';
import type { Session } from './session/session.ts';

/** One decision, as it stands in the log, in `ait explain` and in the report to the authority. */
export interface Decision {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly outcome: 'admitted' | 'denied' | 'terminated' | 'refused';
  /** Shared by both sides' lines. */
  readonly correlationId: string;
  /** Whom it is about: the peer's SPIFFE ID as far as it is proven, `self`, or an empty string. */
  readonly subject: string;
  readonly direction: Direction;
  readonly remoteAddress: string;
  readonly rejection?: Rejection;
  readonly sessionId?: string;
  readonly connections?: number;
  readonly enforcementMs?: number;
  /** Milliseconds since the epoch: when the last socket of all the sessions that ended together had been reset. */
  readonly cutAt?: number;
  /** Only about ourselves: how many sessions it cost. */
  readonly sessionsEnded?: number;
  /** Only of a call of our agent to its model: where its prompt departs from the approved one. Never the text itself. */
  readonly where?: InUseDifference;
  /** Only of a call between agents. */
  readonly call?: DecidedCall;
}

/** A call of our own agent to its model that shows something else than what is approved. */
export interface CallFacts extends Required<Pick<Decision, 'correlationId' | 'remoteAddress'>> {
  readonly cause: Rejection;
  readonly where?: InUseDifference;
}

/** A call between agents that this sidecar refused or cut, or would have. */
export interface PeerCallFacts {
  readonly session: Session;
  readonly call: DecidedCall;
  readonly cause: Rejection;
}

export interface Refusal extends Pick<Decision, 'correlationId' | 'subject' | 'direction' | 'remoteAddress'> {
  readonly cause: Rejection;
  readonly exchange?: boolean;
}

export type EndFacts = Required<Pick<Decision, 'connections' | 'enforcementMs' | 'cutAt'>>;

export interface DecisionLogDeps {
  readonly self: SpiffeId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  /** Whether a peer may be named in a label: configured here, or in the signed state. */
  readonly isKnownPeer: (peer: SpiffeId) => boolean;
}

/**
 * How many refusals and ends `ait explain` can look back on: of peers that proved who they are, and of strangers, kept
 * apart so that a flood of the one cannot wash away the other.
 */
const KEPT = 200;

/**
 * For one subject and one code there is a burst of this many log lines, then so many a second; the rest is counted.
 * Whoever is refused can come back as often as they like: it must not fill the disk.
 */
const LINES = { burst: 200, perSecond: 5 } as const;
/** Subjects and codes told apart; beyond that the counting starts over. */
const MAX_LIMITS = 1000;

/** Every decision passes here once: one log line, its metrics, its place in the memory that `ait explain` reads. */
export class DecisionLog {
  readonly #deps: DecisionLogDeps;
  readonly #ofPeers: Decision[] = [];
  readonly #ofStrangers: Decision[] = [];
  /** Our own agent, too, can fill a memory: this one it has for itself. */
  readonly #ofCalls: Decision[] = [];
  /** And so can a peer that is permitted little. */
  readonly #ofPeerCalls: Decision[] = [];
  readonly #lines = new Map<string, RateLimit>();
  #unwritten = 0;
  /** What a session was counted under when it began; by its end the peer may no longer be known. */
  readonly #labels = new WeakMap<Session, string>();
  readonly #listeners = new Set<(decision: Decision) => void>();

  constructor(deps: DecisionLogDeps) {
    this.#deps = deps;
  }

  onDecision(listener: (decision: Decision) => void): void {
    this.#listeners.add(listener);
  }

  /** Refusals and ends, newest first. */
  recent(): readonly Decision[] {
    const all = [...this.#ofPeers, ...this.#ofStrangers, ...this.#ofCalls, ...this.#ofPeerCalls];
    return all.toSorted((a, b) => b.at - a.at);
  }

  admitted(session: Session): void {
    const { metrics, clock } = this.#deps;
    const direction = directionOf(session.role);
    metrics.exchanges.add({ direction, result: 'accepted' });
    metrics.exchangeDuration.observe({ direction }, (clock.monotonic() - session.startedAt) / 1000);
    this.#labels.set(session, this.peerLabel(session.peer));
    metrics.sessions.add({ peer: this.#labelOf(session) }, 1);
    for (const waived of session.permit?.waived ?? []) this.observed(session, waived);
    this.#write({ ...this.#about(session), outcome: 'admitted' });
  }

  /** A live session goes on over another control connection: one side, or both, have another certificate now. */
  continued(session: Session, exchange: Session): void {
    const { metrics, clock, logger } = this.#deps;
    const direction = directionOf(session.role);
    metrics.exchanges.add({ direction, result: 'accepted' });
    metrics.exchangeDuration.observe({ direction }, (clock.monotonic() - exchange.startedAt) / 1000);
    metrics.sessionContinuations.add({ direction, result: 'ok' });
    const { at: _at, ...facts } = this.#about(session);
    logger.info('session_continued', { ...facts, connections: session.connections.size });
  }

  /** What observe mode waived of a peer, at the exchange or later: counted, and loud in the log. */
  observed(session: Session, waived: Rejection): void {
    const { metrics, logger } = this.#deps;
    metrics.wouldDeny.add({ reason: waived.code });
    this.#countDrift(waived, this.peerLabel(session.peer), 'observed');
    const { at: _at, ...facts } = this.#about(session);
    logger.warn('would_deny', { ...facts, ...waived });
  }

  /** A peer that never was admitted. */
  denied({ session, cause }: { session: Session; cause: Rejection }): void {
    const { metrics } = this.#deps;
    const direction = directionOf(session.role);
    metrics.exchanges.add({ direction, result: cause.code });
    if (session.continues !== undefined && session.role === 'acceptor') {
      metrics.sessionContinuations.add({ direction, result: 'failed' });
    }
    // Our own drift is counted once, where it is found, not against everybody whom we therefore turn away.
    if (cause.self !== true) this.#countDrift(cause, this.peerLabel(session.peer), 'denied');
    this.#write({ ...this.#about(session), outcome: 'denied', rejection: cause });
  }

  /** A session that was live. */
  terminated(session: Session, cause: Rejection, facts: EndFacts): void {
    const { metrics } = this.#deps;
    metrics.sessionsTerminated.add({ reason: cause.code });
    metrics.sessions.add({ peer: this.#labelOf(session) }, -1);
    if (driftDimension(cause.code) !== undefined) metrics.driftEnforcement.observe(facts.enforcementMs / 1000);
    if (cause.self !== true) this.#countDrift(cause, this.#labelOf(session), 'terminated');
    this.#write({ ...this.#about(session), ...facts, outcome: 'terminated', rejection: cause });
  }

  /** What this sidecar thinks of itself has changed for the worse. */
  selfRefused(cause: Rejection, { wasInOrder, sessionsEnded }: { wasInOrder: boolean; sessionsEnded: number }): void {
    const { clock } = this.#deps;
    this.#countDrift(cause, 'self', wasInOrder ? 'terminated' : 'denied');
    this.#write({
      at: clock.now(),
      outcome: 'refused',
      correlationId: cause.inUse?.correlationId ?? '',
      subject: 'self',
      direction: 'outbound',
      remoteAddress: '',
      rejection: cause,
      sessionsEnded,
    });
  }

  /** A call of our own agent to its model, refused for what it shows. */
  callRefused({ cause, ...facts }: CallFacts & { readonly sessionsEnded: number }): void {
    this.#countDrift(cause, 'self', 'denied');
    this.#write({ ...this.#aboutCall(facts), rejection: cause });
  }

  /** The same, but let through by observe mode: counted, and loud in the log. */
  callObserved({ cause, ...facts }: CallFacts): void {
    const { metrics, logger } = this.#deps;
    metrics.wouldDeny.add({ reason: cause.code });
    this.#countDrift(cause, 'self', 'observed');
    if (!this.#mayWrite('self', cause)) return;
    const { at: _at, ...about } = this.#aboutCall(facts);
    logger.warn('would_deny', { ...about, ...cause });
  }

  #aboutCall(facts: Omit<CallFacts, 'cause'>): Decision {
    return { ...facts, at: this.#deps.clock.now(), outcome: 'refused', subject: 'self', direction: 'outbound' };
  }

  /** A connection refused before, beside or without an exchange; `exchange`: an attempt at one that got no session. */
  refused(input: Refusal): void {
    const { clock, metrics } = this.#deps;
    const { cause, exchange = false, ...facts } = input;
    const { direction } = facts;
    if (exchange) metrics.exchanges.add({ direction, result: cause.code });
    else metrics.connectionsRefused.add({ direction, reason: cause.code });
    this.#write({ ...facts, at: clock.now(), outcome: 'refused', rejection: cause });
  }

  /** A call between agents that this sidecar refused or cut. Its metrics are counted where calls are. */
  peerCallRefused({ session, call, cause, correlationId }: PeerCallFacts & { readonly correlationId: string }): void {
    this.#write({ ...this.#about(session), correlationId, outcome: 'refused', rejection: cause, call });
  }

  /** The same, but let through by observe mode: each is counted, and loud in the log unless it is like one before. */
  peerCallObserved({ session, call, cause, isNews }: PeerCallFacts & { readonly isNews: boolean }): void {
    const { metrics, logger } = this.#deps;
    metrics.wouldDeny.add({ reason: cause.code });
    if (!isNews || !this.#mayWrite(session.peer, cause)) return;
    const { at: _at, ...facts } = this.#about(session);
    logger.warn('would_deny', { ...facts, call, ...cause });
  }

  /** How a peer is named in labels: known ones by name, all others as `other`. */
  peerLabel(peer: SpiffeId): string {
    if (kindOf(peer) !== 'agent' || !this.#deps.isKnownPeer(peer)) return 'other';
    return trustDomainOf(peer) === trustDomainOf(this.#deps.self) ? agentNameOf(peer) : peer;
  }

  #labelOf(session: Session): string {
    return this.#labels.get(session) ?? this.peerLabel(session.peer);
  }

  #countDrift(cause: Rejection, peer: string, action: 'denied' | 'terminated' | 'observed'): void {
    const dimensions = new Set<Dimension>((cause.differences ?? []).map((difference) => difference.dimension));
    for (const dimension of dimensions) this.#deps.metrics.drift.add({ peer, dimension, action });
  }

  #about(session: Session): Omit<Decision, 'outcome'> {
    return {
      at: this.#deps.clock.now(),
      correlationId: session.correlationId,
      subject: session.peer,
      direction: directionOf(session.role),
      remoteAddress: session.remoteAddress,
      ...(session.id !== undefined && { sessionId: session.id }),
    };
  }

  #write(decision: Decision): void {
    const { logger } = this.#deps;
    const { outcome, rejection, at: _at, ...fields } = decision;
    if (rejection === undefined) logger.info(`session_${outcome}`, fields);
    else {
      const inGoodOrder = REJECTIONS[rejection.code].wire === 'DRAINING' || rejection.peerSaid?.reason === 'DRAINING';
      const level = inGoodOrder ? 'info' : 'warn';
      const memory = this.#memoryFor(decision);
      memory.push(decision);
      if (memory.length > KEPT) memory.shift();
      const mayWrite = this.#mayWrite(decision.subject, rejection);
      if (mayWrite) {
        logger[level](eventOf(decision), { ...fields, ...rejection, action: REJECTIONS[rejection.code].action });
      }
      // There are as many of these as a peer likes to make: the report is for more than them.
      else if (decision.call !== undefined) return;
    }
    for (const listener of this.#listeners) listener(decision);
  }

  #memoryFor({ subject, remoteAddress, call }: Decision): Decision[] {
    if (call !== undefined) return this.#ofPeerCalls;
    if (subject === '') return this.#ofStrangers;
    return subject === 'self' && remoteAddress !== '' ? this.#ofCalls : this.#ofPeers;
  }

  #mayWrite(subject: string, { code }: Rejection): boolean {
    const { clock, logger } = this.#deps;
    const key = `${subject} ${code}`;
    if (this.#lines.size > MAX_LIMITS) this.#lines.clear();
    const limit = this.#lines.get(key) ?? new RateLimit({ ...LINES, clock });
    this.#lines.set(key, limit);
    if (!limit.take()) {
      this.#unwritten += 1;
      return false;
    }
    if (this.#unwritten > 0) logger.warn('refusals_not_written', { count: this.#unwritten });
    this.#unwritten = 0;
    return true;
  }
}

function eventOf({ outcome, call }: Decision): string {
  if (call !== undefined) return call.wasUnderWay ? 'call_cut' : 'call_refused';
  return outcome === 'terminated' ? 'session_terminated' : `peer_${outcome}`;
}

export function directionOf(role: Role): Direction {
  return role === 'dialler' ? 'outbound' : 'inbound';
}
