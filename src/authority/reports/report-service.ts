import type { ServerDuplexStream } from '@grpc/grpc-js';
import { REJECTION_CODES } from '../../domain/rejection.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Decision__Output } from '../../wire/generated/ait/v1/Decision.ts';
import type { ReportRequest__Output } from '../../wire/generated/ait/v1/ReportRequest.ts';
import type { ReportResponse } from '../../wire/generated/ait/v1/ReportResponse.ts';
import type { ReportServiceHandlers } from '../../wire/generated/ait/v1/ReportService.ts';
import type { SessionSummary__Output } from '../../wire/generated/ait/v1/SessionSummary.ts';
import { REPORTED_OUTCOMES, type AuthorityMetrics } from '../authority-metrics.ts';
import type { Caller, Callers } from '../membership/callers.ts';
import { refusal, refusalStatus, type Refusal } from '../refusal.ts';

/** Bounds of one report; its size in bytes is bounded by the server. */
const MAX_DECISIONS = 1_000;
const MAX_SESSIONS = 2_000;
const MAX_TEXT_CHARS = 500;

export interface ReportServiceOptions {
  readonly callers: Callers;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
}

type ReportCall = ServerDuplexStream<ReportRequest__Output, ReportResponse>;

/** What sidecars say happened. Testimony of one side, kept as such: nothing is decided by it. */
export class ReportService {
  readonly #options: ReportServiceOptions;
  /** By instance: what it last said. */
  readonly #sessions = new Map<string, readonly SessionSummary__Output[]>();

  constructor(options: ReportServiceOptions) {
    this.#options = options;
  }

  get handlers(): ReportServiceHandlers {
    return { Report: (call) => this.#report(call) };
  }

  /** The sessions that an instance reports; `undefined` while it reports nothing. */
  sessionsOf(instance: string): readonly SessionSummary__Output[] | undefined {
    return this.#sessions.get(instance);
  }

  #report(call: ReportCall): void {
    const caller = this.#options.callers.authenticate(call);
    if (!caller.ok) {
      call.emit('error', refusalStatus(caller));
      return;
    }
    const { instance } = caller.value;
    let last = 0;
    let open = true;
    const close = (): void => {
      if (open) this.#sessions.delete(instance);
      open = false;
    };
    call.on('data', (request: ReportRequest__Output) => {
      if (!open) return;
      const objection = this.#options.callers.recheck(caller.value) ?? checkRequest(request, last);
      if (objection !== undefined) {
        close();
        call.emit('error', refusalStatus(objection));
        return;
      }
      last = request.sequence;
      this.#take(caller.value, request);
      // A reporter that does not read its acknowledgements is not read from either.
      if (!call.write({ acknowledged: last })) {
        call.pause();
        call.once('drain', () => call.resume());
      }
    });
    call.on('end', () => {
      close();
      call.end();
    });
    call.on('cancelled', close);
    call.on('error', close);
    call.on('close', close);
  }

  #take(caller: Caller, { decisions, dropped, sessions }: ReportRequest__Output): void {
    const { metrics } = this.#options;
    for (const decision of decisions) this.#logDecision(caller, decision);
    if (dropped > 0) metrics.reportsDropped.add(dropped);
    if (sessions !== null) this.#sessions.set(caller.instance, sessions.sessions);
  }

  #logDecision({ agent, instance }: Caller, decision: Decision__Output): void {
    const { logger, metrics } = this.#options;
    const outcome = REPORTED_OUTCOMES.find((known) => known === decision.outcome);
    if (outcome === undefined) return;
    const known = REJECTION_CODES.find((code) => code === decision.code) ?? 'other';
    const code = decision.code === '' ? 'none' : known;
    metrics.reportedDecisions.add({ outcome, code });
    logger.info('reported_decision', {
      agent,
      instance,
      outcome,
      code,
      at: timeText(decision.atMs),
      role: short(decision.role),
      peer: short(decision.peer),
      correlation_id: short(decision.correlationId),
      detail: short(decision.detail),
    });
  }
}

function checkRequest(request: ReportRequest__Output, last: number): Refusal | undefined {
  const { sequence, decisions, sessions } = request;
  if (sequence <= last) return invalid(`the sequence goes from ${last} to ${sequence}`);
  if (decisions.length > MAX_DECISIONS) return invalid(`more than ${MAX_DECISIONS} decisions`);
  if ((sessions?.sessions.length ?? 0) > MAX_SESSIONS) return invalid(`more than ${MAX_SESSIONS} sessions`);
  const strange = decisions.find(({ outcome }) => !REPORTED_OUTCOMES.some((known) => known === outcome));
  return strange === undefined ? undefined : invalid('an outcome is not admitted, denied or terminated');
}

function invalid(detail: string): Refusal {
  return refusal('INVALID_ARGUMENT', 'REPORT_INVALID', detail);
}

function short(text: string): string {
  return text.slice(0, MAX_TEXT_CHARS);
}

function timeText(at: number): string {
  return Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at);
}
