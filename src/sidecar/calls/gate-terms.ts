import type { CallDecision, CallPolicy, CallRequest } from '../../dataplane/gate/call.ts';
import type { GateOptions } from '../../dataplane/gate/gate.ts';
import { IDENTITY_FIELD } from '../../dataplane/gate/reserved-fields.ts';
import { TraceStarter } from '../../dataplane/gate/trace-context.ts';
import type { HeaderField } from '../../dataplane/hpack/header-field.ts';
import { agentNameOf, type SpiffeId } from '../../domain/agent-id.ts';
import type { PeerPermit } from '../../domain/admission.ts';
import type { MeshState } from '../../domain/mesh-state.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { Direction } from '../sidecar-metrics.ts';
import type { Session } from '../session/session.ts';

export interface GateTermsDeps {
  readonly self: SpiffeId;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly state: () => MeshState | undefined;
}

/** What is decided of the calls of a session, and what their gates are made of. */
export class GateTerms {
  readonly #deps: GateTermsDeps;
  readonly #traces: TraceStarter;

  constructor(deps: GateTermsDeps) {
    this.#deps = deps;
    this.#traces = new TraceStarter(deps.random);
  }

  /** For one connection of the session. */
  gateOptions(session: Session, direction: Direction): GateOptions {
    const { clock, random } = this.#deps;
    const callee = direction === 'outbound' ? 'the sidecar of the peer' : 'our agent';
    return {
      policy: this.#policy(session, direction),
      direction,
      limits: { maxConcurrent: 1000, maxHeaderListBytes: 65_536, maxDeadlineMs: undefined, stallMs: 300_000 },
      clock,
      newTraceparent: () => this.#traces.start(),
      newCorrelationId: () => random.bytes(9).toString('base64url'),
      calleeGone: () =>
        session.cause ??
        rejection(direction === 'outbound' ? 'PEER_LOST' : 'APP_UNREACHABLE', `${callee} closed the connection`),
      identity: direction === 'inbound' ? identityOf(session) : () => [],
    };
  }

  /** Why the session permits no connection whose calls nobody can see; `undefined`: it does. */
  opaqueRejection(session: Session, direction: Direction): Rejection | undefined {
    const { state, self } = this.#deps;
    const [from, to] = direction === 'outbound' ? [self, session.peer] : [session.peer, self];
    if (state()?.grantPolicy.allowsOpaque({ from, to }) === true) return undefined;
    return rejection('OPAQUE_NOT_GRANTED', 'the grant lists calls, and this connection does not speak HTTP/2');
  }

  #policy(session: Session, direction: Direction): CallPolicy {
    const { state, self } = this.#deps;
    const [from, to] = direction === 'outbound' ? [self, session.peer] : [session.peer, self];
    return {
      decide: ({ method, path }: CallRequest): CallDecision => {
        const decision = state()?.grantPolicy.decideCall({ from, to, method, path });
        if (decision === undefined)
          return { permitted: false, label: 'other', rejection: rejection('STATE_MISSING', 'no signed state') };
        if (decision.allowed) return { permitted: true, label: decision.label };
        return { permitted: false, label: decision.label, rejection: rejection(decision.code, decision.detail) };
      },
      started: () => undefined,
      ended: () => undefined,
      violated: () => undefined,
      held: () => undefined,
    };
  }
}

/** The fields that tell our agent who calls; made anew when the session stands on another permit. */
function identityOf(session: Session): () => readonly HeaderField[] {
  let permit: PeerPermit | undefined;
  let fields: readonly HeaderField[] = [];
  return () => {
    if (session.permit !== undefined && session.permit !== permit) {
      permit = session.permit;
      fields = [
        { name: IDENTITY_FIELD.spiffeId, value: permit.peer },
        { name: IDENTITY_FIELD.agent, value: agentNameOf(permit.peer) ?? '' },
        { name: IDENTITY_FIELD.instance, value: permit.instance },
        ...(permit.baseline === undefined ? [] : [{ name: IDENTITY_FIELD.baseline, value: permit.baseline }]),
      ];
    }
    return fields;
  };
}
