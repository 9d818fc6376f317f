import type { Call, CallDecision, CallOutcome, CallPolicy, CallRequest } from '../../dataplane/gate/call.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { MeshState } from '../../domain/mesh-state.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { directionOf, type DecisionLog } from '../decision-log.ts';
import type { CallBudget } from '../session/peer-budget.ts';
import { IN_GOOD_ORDER, type Session } from '../session/session.ts';
import type { HealthOutcome } from '../session/outlier-ejection.ts';
import type { InstanceHealth } from '../session/session-pool.ts';
import type { AccessLog, SessionAccess } from './access-log.ts';
import type { CallCounters } from './call-counters.ts';
import { CallPermission } from './call-permission.ts';
import type { CallSettings } from './calls-section.ts';
import { decidedCall } from './decided-call.ts';
import type { PeerCalls } from './peer-calls.ts';

export interface CallPolicyDeps {
  readonly self: SpiffeId;
  readonly clock: Clock;
  readonly decisions: DecisionLog;
  readonly counters: CallCounters;
  readonly accessLog: AccessLog;
  readonly settings: CallSettings;
  readonly state: () => MeshState | undefined;
  /** Why this sidecar itself is out of order; `undefined`: it is not. */
  readonly ownRejection: () => Rejection | undefined;
  /** What our own agent may have under way with a peer. */
  readonly budget: CallBudget;
  /** Is told how the instances fare that our own agent calls. */
  readonly health: InstanceHealth;
}

/** Makes the policy of one data connection of a session. What connections of a session share is made once. */
export type CallPolicyFactory = (session: Session) => CallPolicy;

export function createCallPolicies(deps: CallPolicyDeps): CallPolicyFactory {
  const shared = new WeakMap<Session, SessionCalls>();
  return (session) => {
    const known = shared.get(session);
    if (known !== undefined) return new ConnectionCalls(known);
    const calls = new SessionCalls(session, deps);
    shared.set(session, calls);
    return new ConnectionCalls(calls);
  };
}

const NOT_LIVE = rejection('DATA_SESSION_UNKNOWN', 'the session of this connection is not live');

/** What the connections of one session have in common. */
class SessionCalls {
  readonly session: Session;
  readonly deps: CallPolicyDeps;
  readonly counted: PeerCalls;
  readonly access: SessionAccess;
  readonly #permission: CallPermission;
  readonly #parties: readonly [SpiffeId, SpiffeId];
  /** Kinds of call that observe mode let through under the present state. */
  readonly #observed = new Set<string>();
  #observedUnder: string | undefined;
  /** Calls that observe mode let through, and that may be asked about again while they are under way. */
  readonly #told = new WeakSet<CallRequest>();

  constructor(session: Session, deps: CallPolicyDeps) {
    const { self, decisions, counters, accessLog, settings, state } = deps;
    const direction = directionOf(session.role);
    const [from, to] = session.role === 'dialler' ? [self, session.peer] : [session.peer, self];
    this.session = session;
    this.deps = deps;
    this.counted = counters.of(direction, decisions.peerLabel(session.peer));
    this.access = accessLog.of(session);
    this.#parties = [from, to];
    this.#permission = new CallPermission({ from, to, state, named: () => settings.named });
  }

  /** Own standing → session → grant. In observe mode a missing grant is noted, not enforced. Fails closed. */
  decide(request: CallRequest): CallDecision {
    const decision = this.#permission.decide(request);
    const { session } = this;
    const standing = this.deps.ownRejection() ?? (isServing(session) ? undefined : (session.cause ?? NOT_LIVE));
    if (standing !== undefined) return { permitted: false, label: decision.label, rejection: standing };
    return decision.permitted || !this.#isObserved() ? decision : this.#waive(request, decision);
  }

  #isObserved(): boolean {
    return isObserved(this.deps.state(), this.#parties, this.deps.clock.now());
  }

  #waive(
    request: CallRequest,
    { label, rejection: cause }: CallDecision & { readonly permitted: false },
  ): CallDecision {
    const { session } = this;
    if (!this.#told.has(request)) {
      this.#told.add(request);
      const call = decidedCall(request, { label, wasUnderWay: false });
      this.deps.decisions.peerCallObserved({ session, call, cause, isNews: this.#isNews(`${cause.code} ${label}`) });
    }
    return { permitted: true, label };
  }

  #isNews(kind: string): boolean {
    const content = this.deps.state()?.head.content;
    if (content !== this.#observedUnder) this.#observed.clear();
    this.#observedUnder = content;
    const isNews = !this.#observed.has(kind);
    this.#observed.add(kind);
    return isNews;
  }
}

/** Whether a session is live, or has ended in good order: then what is open of it goes on to its end. */
function isServing({ state, cause }: Session): boolean {
  return state === 'live' || (state === 'ended' && cause !== undefined && IN_GOOD_ORDER.has(cause.code));
}

/** Whether a missing grant between these is waived: it is as much the caller's as the called one's. */
export function isObserved(state: MeshState | undefined, parties: readonly SpiffeId[], now: number): boolean {
  return parties.some((id) => now < (state?.agents.get(id)?.observeUntil ?? -Infinity));
}

/** One data connection's calls: decided, counted, and written down. */
class ConnectionCalls implements CallPolicy {
  readonly #of: SessionCalls;
  readonly #underWay = new Set<number>();

  constructor(of: SessionCalls) {
    this.#of = of;
  }

  decide(request: CallRequest, judgeOnly = false): CallDecision {
    const decision = this.#of.decide(request);
    if (judgeOnly || !decision.permitted || !this.#isOurs) return decision;
    const { session, deps } = this.#of;
    if (deps.budget.take(session.peer)) return decision;
    const detail = `as many calls to ${session.peer} are open as may be`;
    return { permitted: false, label: decision.label, rejection: rejection('CALL_BUDGET_EXCEEDED', detail) };
  }

  /** Whether our own agent is the caller. */
  get #isOurs(): boolean {
    return this.#of.session.role === 'dialler';
  }

  started({ streamId }: Call): void {
    this.#underWay.add(streamId);
    this.#of.counted.started();
  }

  ended(call: Call, outcome: CallOutcome): void {
    const { counted, access, session, deps } = this.#of;
    const wasUnderWay = this.#underWay.delete(call.streamId);
    if (wasUnderWay && this.#isOurs) {
      deps.budget.give(session.peer);
      if (outcome.source === 'app' && !outcome.cancelled) deps.health.observe(session, healthOf(outcome));
    }
    if (wasUnderWay) counted.ended(call.label, outcome);
    else counted.refused(call.label, outcome);
    const { rejection: cause, correlationId } = outcome;
    // What ended the whole session is on record under its id.
    if (cause !== undefined && correlationId !== session.correlationId) {
      const { label, request } = call;
      const decided = decidedCall(request, { label, wasUnderWay });
      deps.decisions.peerCallRefused({ session, call: decided, cause, correlationId });
    }
    if (access.enabled) access.write(call, outcome);
  }

  violated(cause: Rejection): void {
    const { session, deps } = this.#of;
    const { correlationId, peer: subject, remoteAddress, role } = session;
    deps.decisions.refused({ correlationId, subject, direction: directionOf(role), remoteAddress, cause });
  }

  held(ms: number): void {
    this.#of.deps.counters.held(ms);
  }
}

const GRPC_UNAVAILABLE = 14;

/** How the called instance fares, by an answer that is its agent's own. */
function healthOf({ grpcStatus, httpStatus = 0, resetCode }: CallOutcome): HealthOutcome {
  const isGateway = httpStatus >= 502 && httpStatus <= 504;
  return grpcStatus === GRPC_UNAVAILABLE || isGateway || resetCode !== undefined ? 'failed' : 'ok';
}
