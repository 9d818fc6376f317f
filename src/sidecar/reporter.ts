import type { ClientDuplexStream } from '@grpc/grpc-js';
import { after } from '../platform/clock.ts';
import { Backoff, type RandomSource } from '../platform/random.ts';
import type { Decision as WireDecision } from '../wire/generated/ait/v1/Decision.ts';
import type { ReportRequest } from '../wire/generated/ait/v1/ReportRequest.ts';
import type { SessionSummary } from '../wire/generated/ait/v1/SessionSummary.ts';
import type { ReportResponse__Output } from '../wire/generated/ait/v1/ReportResponse.ts';
import { ReportClient } from '../wire/services.ts';
import type { AuthorityChannel } from './authority-link/authority-channel.ts';
import type { Decision } from './decision-log.ts';
import type { Session } from './session/session.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';

export interface ReporterDeps {
  readonly random: RandomSource;
  readonly metrics: SidecarMetrics;
  readonly channel: () => AuthorityChannel;
  /** The sessions open now. */
  readonly sessions: () => readonly Session[];
}

const MAX_QUEUED = 500;
const MAX_PER_REQUEST = 100;
/** Decisions wait this long for others, milliseconds. */
const BATCH_MS = 100;

/**
 * Tells the authority what was decided here. It never holds anything up: when the queue is full, decisions are dropped
 * and counted. One request is under way at a time; what was not acknowledged is sent again.
 */
export class Reporter {
  readonly #deps: ReporterDeps;
  readonly #backoff: Backoff;
  readonly #queue: WireDecision[] = [];
  #dropped = 0;
  #inFlight = 0;
  #sequence = 0;
  #call: ClientDuplexStream<ReportRequest, ReportResponse__Output> | undefined;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff({ random: deps.random });
  }

  add(decision: Decision): void {
    if (this.#stopped) return;
    if (this.#queue.length >= MAX_QUEUED) {
      this.#dropped += 1;
      this.#deps.metrics.reportsDropped.add();
      return;
    }
    this.#queue.push(toWire(decision));
    this.#sendSoon(BATCH_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#call?.cancel();
  }

  #sendSoon(delayMs: number): void {
    if (this.#cancelTimer !== undefined || this.#inFlight > 0) return;
    const run = () => {
      this.#cancelTimer = undefined;
      this.#send();
    };
    this.#cancelTimer = after({ delayMs, run, keepAlive: false });
  }

  #send(): void {
    if (this.#queue.length === 0 || this.#stopped) return;
    const decisions = this.#queue.slice(0, MAX_PER_REQUEST);
    this.#inFlight = decisions.length;
    this.#sequence += 1;
    const stream = this.#stream();
    stream.write({
      sequence: this.#sequence,
      decisions,
      dropped: this.#dropped,
      // Every decision may have opened or ended one.
      sessions: { sessions: this.#deps.sessions().map(summaryOf) },
    });
  }

  #stream(): ClientDuplexStream<ReportRequest, ReportResponse__Output> {
    if (this.#call !== undefined) return this.#call;
    const call = this.#deps.channel().client(ReportClient).Report();
    this.#call = call;
    this.#sequence = 1;
    call.on('data', ({ acknowledged }: ReportResponse__Output) => {
      if (acknowledged < this.#sequence) return;
      this.#queue.splice(0, this.#inFlight);
      this.#inFlight = 0;
      this.#backoff.reset();
      if (this.#queue.length > 0) this.#sendSoon(0);
    });
    const lost = () => {
      if (this.#call !== call) return;
      this.#call = undefined;
      this.#inFlight = 0;
      if (this.#queue.length > 0) this.#sendSoon(this.#backoff.next());
    };
    // Why it broke is told by the watch on the same connection.
    call.on('error', lost);
    call.on('end', lost);
    return call;
  }
}

function summaryOf({ id, peer, peerInstance, role, acceptedAt, connections }: Session): SessionSummary {
  return {
    sessionId: id ?? '',
    peer,
    peerInstance: peerInstance ?? '',
    role,
    acceptedAtMs: acceptedAt ?? 0,
    connections: connections.size,
  };
}

function toWire({ at, correlationId, subject, outcome, rejection, direction }: Decision): WireDecision {
  return {
    atMs: at,
    correlationId,
    peer: subject === 'self' ? '' : subject,
    outcome: outcome === 'refused' ? 'denied' : outcome,
    code: rejection?.code ?? '',
    detail: rejection?.detail ?? '',
    role: direction === 'outbound' ? 'dialler' : 'acceptor',
  };
}
