import type { Call, CallDecision, CallOutcome, CallPolicy, CallRequest } from '../../dataplane/gate/call.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { OTHER_CALL } from '../../domain/grant-policy.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Peers } from '../live-config.ts';
import type { Session } from '../session/session.ts';
import { CallPermission } from './call-permission.ts';
import { isObserved, type CallPolicyDeps, type CallPolicyFactory } from './call-policy.ts';
import { meshNames, peerOfAuthority } from './mesh-names.ts';

export interface RoutedCallsDeps extends CallPolicyDeps {
  readonly peers: () => Peers;
  readonly policyOf: CallPolicyFactory;
}

/**
 * The calls of a connection whose first permitted call says by its `:authority` which peer it leads to. Others on the same
 * connection that name another peer are misdirected (RFC 9110, section 15.5.20). Until there is a session with the peer
 * the grants alone decide; from then on the session does.
 */
export class RoutedCalls implements CallPolicy {
  readonly #deps: RoutedCallsDeps;
  #peer: SpiffeId | undefined;
  #permission: CallPermission | undefined;
  #waiting: Call[] = [];
  /** Why there is no session with the peer; it is on record already. */
  #unplaced: Rejection | undefined;
  #placed: { readonly session: Session; readonly policy: CallPolicy } | undefined;

  constructor(deps: RoutedCallsDeps) {
    this.#deps = deps;
  }

  /** Whom the first permitted call was for. */
  get peer(): SpiffeId | undefined {
    return this.#peer;
  }

  get session(): Session | undefined {
    return this.#placed?.session;
  }

  /** The calls go on a session now; those that were waiting for it are its own from here on. */
  placed(session: Session): void {
    const policy = this.#deps.policyOf(session);
    this.#placed = { session, policy };
    for (const call of this.#waiting) {
      policy.decide(call.request, true);
      policy.started(call);
    }
    this.#waiting = [];
  }

  /** There is no session to be had with the peer. Whoever found that out has written it down. */
  unplaced(cause: Rejection): void {
    this.#unplaced = cause;
  }

  decide(request: CallRequest, judgeOnly = false): CallDecision {
    const peers = this.#deps.peers();
    const peer = peerOfAuthority(request.authority, peers.keys());
    if (peer === undefined) {
      const detail = `no peer of this agent is called ${JSON.stringify(request.authority)}`;
      return misdirected(detail, meshNames(peers.keys()));
    }
    if (this.#peer !== undefined && peer !== this.#peer) {
      const detail = `this connection leads to ${this.#peer}, and the call is for ${peer}`;
      return misdirected(detail, meshNames([this.#peer]));
    }
    const decision = this.#placed?.policy.decide(request, judgeOnly) ?? this.#foresee(request, peer, judgeOnly);
    if (decision.permitted) this.#peer = peer;
    return decision;
  }

  #foresee(request: CallRequest, to: SpiffeId, judgeOnly: boolean): CallDecision {
    const { self: from, state, settings, ownRejection, clock, budget } = this.#deps;
    if (this.#peer !== to) this.#permission = undefined;
    this.#permission ??= new CallPermission({ from, to, state, named: () => settings.named });
    const decision = this.#permission.decide(request);
    const own = ownRejection();
    if (own !== undefined) return { permitted: false, label: decision.label, rejection: own };
    if (!decision.permitted && !isObserved(state(), [from, to], clock.now())) return decision;
    if (judgeOnly || budget.take(to)) return { permitted: true, label: decision.label };
    const cause = rejection('CALL_BUDGET_EXCEEDED', `as many calls to ${to} are open as may be`);
    return { permitted: false, label: decision.label, rejection: cause };
  }

  started(call: Call): void {
    if (this.#placed === undefined) this.#waiting.push(call);
    else this.#placed.policy.started(call);
  }

  ended(call: Call, outcome: CallOutcome): void {
    if (this.#placed !== undefined) {
      this.#placed.policy.ended(call, outcome);
      return;
    }
    const { counters, decisions, budget } = this.#deps;
    if (this.#peer !== undefined && this.#waiting.some(({ streamId }) => streamId === call.streamId)) {
      this.#waiting = this.#waiting.filter(({ streamId }) => streamId !== call.streamId);
      budget.give(this.#peer);
    }
    const peer = this.#peer === undefined ? 'other' : decisions.peerLabel(this.#peer);
    counters.of('outbound', peer).refused(call.label, outcome);
    const { rejection: cause, correlationId } = outcome;
    if (cause !== undefined && cause !== this.#unplaced) this.#record(cause, correlationId);
  }

  violated(cause: Rejection): void {
    if (this.#placed === undefined) this.#record(cause, '');
    else this.#placed.policy.violated(cause);
  }

  #record(cause: Rejection, correlationId: string): void {
    const subject = this.#peer ?? '';
    this.#deps.decisions.refused({ correlationId, subject, direction: 'outbound', remoteAddress: '', cause });
  }

  held(ms: number): void {
    this.#deps.counters.held(ms);
  }
}

function misdirected(detail: string, known: readonly string[]): CallDecision {
  return { permitted: false, label: OTHER_CALL, rejection: rejection('AUTHORITY_MISDIRECTED', detail, { known }) };
}
