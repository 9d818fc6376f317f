import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { REJECTION_CODES } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import type { Decision__Output } from '../../wire/generated/ait/v1/Decision.ts';
import type { OperatorQuestion } from '../../wire/generated/ait/v1/OperatorQuestion.ts';
import type { ReportRequest__Output } from '../../wire/generated/ait/v1/ReportRequest.ts';
import type { ReportResponse } from '../../wire/generated/ait/v1/ReportResponse.ts';
import type { ReportServiceHandlers } from '../../wire/generated/ait/v1/ReportService.ts';
import { REPORTED_OUTCOMES, type AuthorityMetrics } from '../authority-metrics.ts';
import type { Caller, Callers } from '../membership/callers.ts';
import { refusal, refusalStatus, type Refusal } from '../refusal.ts';
import type { DecisionLog } from './decision-log.ts';
import { readSession, readStatus, type InstanceReports, type ReportedStatus } from './instance-reports.ts';
import type { Questions } from './questions.ts';
import { storedDecision } from './stored-decision.ts';

/** Bounds of one report; its size in bytes is bounded by the server. */
const MAX_DECISIONS = 1_000;
const MAX_SESSIONS = 2_000;
/** Of one instance, decisions are kept and logged in a burst of this many, then so many a second; the rest is counted. */
const DECISIONS = { burst: 1_000, perSecond: 20 } as const;
/** Instances told apart; beyond that the counting starts over. */
const MAX_LIMITS = 20_000;

export interface ReportServiceOptions {
  readonly callers: Callers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  readonly instances: InstanceReports;
  readonly decisions: DecisionLog;
  readonly questions: Questions;
}

type ReportCall = ServerDuplexStream<ReportRequest__Output, ReportResponse>;

/** What sidecars say happened. Testimony of one side, kept as such: nothing is decided by it. */
export class ReportService {
  readonly #options: ReportServiceOptions;
  readonly #limits = new Map<string, RateLimit>();

  constructor(options: ReportServiceOptions) {
    this.#options = options;
  }

  get handlers(): ReportServiceHandlers {
    return { Report: (call) => this.#report(call) };
  }

  #report(call: ReportCall): void {
    const { callers, instances, questions, metrics } = this.#options;
    const caller = callers.authenticate(call);
    if (!caller.ok) {
      call.emit('error', refusalStatus(caller));
      return;
    }
    const { instance, agent } = caller.value;
    let last = 0;
    let open = true;
    const ask = (question: OperatorQuestion): void => void call.write({ acknowledged: last, question });
    const detach = questions.attach(instance, ask);
    const gone = instances.opened(instance, agent);
    const close = (): void => {
      if (!open) return;
      open = false;
      detach();
      gone();
    };
    call.on('data', (request: ReportRequest__Output) => {
      if (!open) return;
      const status = request.status === null ? undefined : readStatus(request.status);
      const objection = callers.recheck(caller.value) ?? checkRequest(request, { last, status });
      metrics.reports.add({ result: objection === undefined ? 'taken' : 'refused' });
      if (objection !== undefined) {
        close();
        call.emit('error', refusalStatus(objection));
        return;
      }
      last = request.sequence;
      if (typeof status === 'object') instances.setStatus(instance, agent, status);
      this.#take(caller.value, request);
      if (request.answer !== null) questions.take(ask, request.answer);
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
    const { metrics, instances } = this.#options;
    const { instance, agent } = caller;
    for (const decision of decisions) this.#takeDecision({ instance, agent }, decision);
    if (dropped > 0) metrics.reportsDropped.add(dropped);
    if (sessions === null) return;
    const read = sessions.sessions.map(readSession).filter((session) => session !== undefined);
    instances.setSessions(instance, agent, read);
  }

  #takeDecision(by: { readonly instance: string; readonly agent: SpiffeId }, decision: Decision__Output): void {
    const { metrics, decisions, logger } = this.#options;
    const outcome = REPORTED_OUTCOMES.find((known) => known === decision.outcome);
    if (outcome === undefined) return;
    const known = REJECTION_CODES.find((code) => code === decision.code) ?? 'other';
    metrics.reportedDecisions.add({ outcome, code: decision.code === '' ? 'none' : known });
    if (!this.#mayKeep(by.instance)) {
      metrics.decisionsDropped.add({ reason: 'rate' });
      return;
    }
    const stored = storedDecision(decision, by);
    decisions.add(stored);
    const { at, role, peer, correlation_id, detail } = stored;
    logger.info('reported_decision', {
      ...by,
      outcome,
      code: decision.code === '' ? 'none' : known,
      at: new Date(at).toISOString(),
      role,
      peer,
      correlation_id,
      detail,
    });
  }

  #mayKeep(instance: string): boolean {
    if (this.#limits.size > MAX_LIMITS) this.#limits.clear();
    const limit = this.#limits.get(instance) ?? new RateLimit({ ...DECISIONS, clock: this.#options.clock });
    this.#limits.set(instance, limit);
    return limit.take();
  }
}

interface RequestFacts {
  /** Sequence number of the request before. */
  readonly last: number;
  readonly status: ReportedStatus | string | undefined;
}

function checkRequest(request: ReportRequest__Output, { last, status }: RequestFacts): Refusal | undefined {
  const { sequence, decisions, sessions } = request;
  if (sequence <= last) return invalid(`the sequence goes from ${last} to ${sequence}`);
  if (decisions.length > MAX_DECISIONS) return invalid(`more than ${MAX_DECISIONS} decisions`);
  if ((sessions?.sessions.length ?? 0) > MAX_SESSIONS) return invalid(`more than ${MAX_SESSIONS} sessions`);
  if (typeof status === 'string') return invalid(status);
  const strange = decisions.find(({ outcome }) => !REPORTED_OUTCOMES.some((known) => known === outcome));
  return strange === undefined ? undefined : invalid('an outcome is not admitted, denied or terminated');
}

function invalid(detail: string): Refusal {
  return refusal('INVALID_ARGUMENT', 'REPORT_INVALID', detail);
}
