import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { after } from '../platform/clock.ts';
import { Backoff, type RandomSource } from '../platform/random.ts';
import { reasonOf } from '../wire/error-status.ts';
import type { Decision as WireDecision } from '../wire/generated/ait/v1/Decision.ts';
import type { OperatorAnswer } from '../wire/generated/ait/v1/OperatorAnswer.ts';
import type { OperatorQuestion__Output } from '../wire/generated/ait/v1/OperatorQuestion.ts';
import type { ReportRequest } from '../wire/generated/ait/v1/ReportRequest.ts';
import type { ReportResponse__Output } from '../wire/generated/ait/v1/ReportResponse.ts';
import { ReportClient } from '../wire/services.ts';
import type { AuthorityChannel } from '../membership/authority-channel.ts';
import type { Decision } from './decision-log.ts';
import type { Session } from './session/session.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';
import { decisionToWire, sessionToWire, statusToWire, type OwnStatus } from './wire-report.ts';

export interface ReporterDeps {
  readonly random: RandomSource;
  readonly metrics: SidecarMetrics;
  readonly channel: () => AuthorityChannel;
  /** The sessions open now. */
  readonly sessions: () => readonly Session[];
  readonly status: () => OwnStatus;
  /** Answers what an operator asks; the authority has made sure that it is one. */
  readonly answer: (question: OperatorQuestion__Output) => OperatorAnswer;
}

const MAX_QUEUED = 500;
const MAX_PER_REQUEST = 100;
/** The authority takes 256 KiB a request; each part has its share. */
const MAX_DECISION_BYTES = 96 * 1024;
const MAX_SESSION_BYTES = 96 * 1024;
/**
 * News wait for others, and not as long in every sidecar: what concerns a whole fleet is not reported by all of it in the
 * moment in which the last ones still have to hear of it. Milliseconds.
 */
const BATCH_MS = { least: 100, more: 900 } as const;
const RETRY = { minMs: 200, maxMs: 10_000 } as const;

type ReportStream = ClientDuplexStream<ReportRequest, ReportResponse__Output>;

/** What a stream has been told, so that nothing is said twice on it and everything once on the next. */
interface Told {
  status: string;
  sessions: string;
}

/**
 * Tells the authority how this instance is doing, what its sessions are, and what was decided here, over one stream
 * that is kept open; operators' questions come back on it. It never holds anything up: when the queue is full,
 * decisions are dropped and counted. One request is under way at a time; what was not acknowledged is sent again.
 */
export class Reporter {
  readonly #deps: ReporterDeps;
  readonly #backoff: Backoff;
  readonly #queue: WireDecision[] = [];
  #dropped = 0;
  #inFlight: { readonly sequence: number; readonly decisions: number; readonly dropped: number } | undefined;
  #sequence = 0;
  #call: ReportStream | undefined;
  #told: Told = { status: '', sessions: '' };
  #cancelTimer: (() => void) | undefined;
  #cancelOpen: (() => void) | undefined;
  #stopped = false;

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff({ ...RETRY, random: deps.random });
  }

  /** Opens the stream, and keeps it open. */
  start(): void {
    this.#open();
  }

  /** A new certificate is in use: the stream moves to the connection that shows it. */
  reopen(): void {
    this.#call?.cancel();
  }

  add(decision: Decision): void {
    if (this.#stopped) return;
    if (this.#queue.length >= MAX_QUEUED) this.#drop(1);
    else this.#queue.push(decisionToWire(decision));
    this.#sendSoon();
  }

  /** Status or sessions may have changed; what has not is not sent. Cheap: may be called as often as anybody likes. */
  changed(): void {
    this.#sendSoon();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelOpen?.();
    this.#call?.cancel();
  }

  #drop(count: number): void {
    this.#dropped += count;
    this.#deps.metrics.reportsDropped.add(count);
  }

  #sendSoon(): void {
    if (this.#cancelTimer !== undefined || this.#inFlight !== undefined || this.#call === undefined) return;
    const run = () => {
      this.#cancelTimer = undefined;
      this.#send();
    };
    const delayMs = BATCH_MS.least + this.#deps.random.uniform() * BATCH_MS.more;
    this.#cancelTimer = after({ delayMs, run, keepAlive: false });
  }

  #send(): void {
    const stream = this.#call;
    if (stream === undefined || this.#stopped || this.#inFlight !== undefined) return;
    const decisions = firstThatFit(this.#queue.slice(0, MAX_PER_REQUEST), MAX_DECISION_BYTES);
    const status = statusToWire(this.#deps.status());
    const sessions = firstThatFit(this.#deps.sessions().map(sessionToWire), MAX_SESSION_BYTES);
    const now: Told = { status: JSON.stringify(status), sessions: JSON.stringify(sessions) };
    const news = {
      ...(now.status !== this.#told.status && { status }),
      ...(now.sessions !== this.#told.sessions && { sessions: { sessions } }),
    };
    if (decisions.length === 0 && this.#dropped === 0 && Object.keys(news).length === 0) return;
    this.#told = now;
    this.#sequence += 1;
    this.#inFlight = { sequence: this.#sequence, decisions: decisions.length, dropped: this.#dropped };
    stream.write({ sequence: this.#sequence, decisions, dropped: this.#dropped, ...news });
  }

  #acknowledged(acknowledged: number): void {
    const { sequence, decisions, dropped } = this.#inFlight ?? { sequence: Infinity, decisions: 0, dropped: 0 };
    if (acknowledged < sequence) return;
    this.#queue.splice(0, decisions);
    this.#dropped -= dropped;
    this.#inFlight = undefined;
    this.#backoff.reset();
    // At once where more waits; and what changed meanwhile was not announced while a request was under way.
    if (this.#queue.length > 0) this.#send();
    else this.#sendSoon();
  }

  #open(): void {
    const call = this.#deps.channel().client(ReportClient).Report();
    this.#call = call;
    this.#sequence = 0;
    this.#told = { status: '', sessions: '' };
    call.on('data', ({ acknowledged, question }: ReportResponse__Output) => {
      if (this.#call !== call) return;
      this.#acknowledged(acknowledged);
      if (question !== null) this.#answer(call, question);
    });
    const lost = (error?: ServiceError) => {
      if (this.#call !== call) return;
      // A report that the authority does not take would be refused again, and hold up all after it.
      if (error !== undefined && reasonOf(error) === 'REPORT_INVALID') {
        const { decisions = 0 } = this.#inFlight ?? {};
        this.#queue.splice(0, decisions);
        this.#drop(decisions);
      }
      this.#call = undefined;
      this.#inFlight = undefined;
      if (this.#stopped) return;
      const run = () => {
        this.#cancelOpen = undefined;
        this.#open();
      };
      this.#cancelOpen = after({ delayMs: this.#backoff.next(), run, keepAlive: false });
    };
    // Why it broke is told by the watch on the same connection.
    call.on('error', lost);
    call.on('end', () => lost());
    this.#send();
  }

  #answer(call: ReportStream, question: OperatorQuestion__Output): void {
    this.#sequence += 1;
    call.write({ sequence: this.#sequence, answer: this.#deps.answer(question) });
  }
}

/** As many of them, in order, as JSON says in so many bytes: a generous estimate of what the wire takes. */
function firstThatFit<T>(items: readonly T[], maxBytes: number): T[] {
  let bytes = 0;
  const end = items.findIndex((item) => {
    bytes += Buffer.byteLength(JSON.stringify(item));
    return bytes > maxBytes;
  });
  return items.slice(0, end === -1 ? items.length : Math.max(end, 1));
}
