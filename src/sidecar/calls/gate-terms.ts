import type { GateOptions } from '../../dataplane/gate/gate.ts';
import type { Audience } from '../../dataplane/gate/refusal.ts';
import type { BodyWatch } from '../../dataplane/http1/body-watch.ts';
import type { Http1Terms } from '../../dataplane/http1/terms.ts';
import type { GatedConnection } from '../../dataplane/gate/gated-connection.ts';
import { IDENTITY_FIELD } from '../../dataplane/gate/reserved-fields.ts';
import { TraceStarter } from '../../dataplane/gate/trace-context.ts';
import type { HeaderField } from '../../dataplane/hpack/header-field.ts';
import { agentNameOf, type SpiffeId } from '../../domain/agent-id.ts';
import type { PeerPermit } from '../../domain/admission.ts';
import { OTHER_CALL } from '../../domain/grant-policy.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { Peers } from '../live-config.ts';
import type { Direction } from '../sidecar-metrics.ts';
import type { Session } from '../session/session.ts';
import { createCallPolicies, isObserved, type CallPolicyDeps, type CallPolicyFactory } from './call-policy.ts';
import { UnseenBodies } from '../protocols/unseen-bodies.ts';
import type { ReadBodies } from '../protocols/protocols-section.ts';
import { peerOfAuthority } from './mesh-names.ts';
import { RoutedCalls } from './routed-calls.ts';

export interface GateTermsDeps extends CallPolicyDeps {
  readonly random: RandomSource;
  readonly peers: () => Peers;
  /** Which bodies of calls are to be read, which a gate cannot do. */
  readonly readBodies: (direction: Direction, peer: SpiffeId) => ReadBodies;
  /** Who reads along in the bodies of a session's HTTP/1. Default: nobody. */
  readonly bodyWatch?: ((session: Session, direction: Direction) => BodyWatch | undefined) | undefined;
}

/** A request of HTTP/1 that was refused before it could be decided. */
export interface UnreadRefusal {
  readonly direction: Direction;
  /** `undefined`: nobody knows whom it was for. */
  readonly peer: SpiffeId | undefined;
  readonly remoteAddress: string;
  readonly rejection: Rejection;
  readonly correlationId: string;
  readonly httpStatus: number;
}

const NOBODY: readonly HeaderField[] = [];

/** What the gates of this sidecar are made of: who decides, within which limits, and what is added for whom. */
export class GateTerms {
  readonly #deps: GateTermsDeps;
  readonly #policyOf: CallPolicyFactory;
  readonly #traces: TraceStarter;
  readonly #routed = new WeakMap<GatedConnection, RoutedCalls>();

  constructor(deps: GateTermsDeps) {
    this.#deps = deps;
    this.#policyOf = createCallPolicies(deps);
    this.#traces = new TraceStarter(deps.random);
  }

  /** For the gate of one connection of a session. */
  gateOptions(session: Session, direction: Direction): GateOptions {
    const options = this.#sessionOptions(session, direction);
    const policy = new UnseenBodies(options.policy, () => this.#deps.readBodies(direction, session.peer));
    return { ...options, policy };
  }

  #sessionOptions(session: Session, direction: Direction): GateOptions {
    const isOutbound = direction === 'outbound';
    return {
      ...this.#common(),
      policy: this.#policyOf(session),
      direction,
      calleeGone: () =>
        session.cause ??
        (isOutbound
          ? rejection('PEER_LOST', 'the sidecar of the peer closed the connection')
          : rejection('APP_UNREACHABLE', 'our agent closed the connection')),
      identity: isOutbound ? () => NOBODY : identityOf(session),
    };
  }

  /** For a connection of our agent whose first call says which peer it is for. */
  routed(): { readonly calls: RoutedCalls; readonly options: GateOptions } {
    const calls = new RoutedCalls({ ...this.#deps, policyOf: this.#policyOf });
    const options: GateOptions = {
      ...this.#common(),
      policy: new UnseenBodies(calls, ({ authority }) => {
        const peer = peerOfAuthority(authority, this.#deps.peers().keys());
        return peer === undefined ? 'json' : this.#deps.readBodies('outbound', peer);
      }),
      direction: 'outbound',
      calleeGone: () => calls.session?.cause ?? rejection('PEER_LOST', 'the sidecar of the peer closed the connection'),
      identity: () => NOBODY,
    };
    return { calls, options };
  }

  /** Remembers whose calls a gate decides, until it is known where they go. */
  remember(gated: GatedConnection, calls: RoutedCalls): void {
    this.#routed.set(gated, calls);
  }

  /** The session is known that the calls of a routed connection go on. */
  placed(gated: GatedConnection, session: Session): void {
    this.#routed.get(gated)?.placed(session);
  }

  /** What decides of the requests of HTTP/1 on one connection of a session. */
  http1Destination(
    session: Session,
    direction: Direction,
  ): Pick<GateOptions, 'policy' | 'identity' | 'calleeGone' | 'limits'> & {
    readonly bodyWatch: BodyWatch | undefined;
  } {
    const { policy, identity, calleeGone, limits } = this.#sessionOptions(session, direction);
    return { policy, identity, calleeGone, limits, bodyWatch: this.#deps.bodyWatch?.(session, direction) };
  }

  /** What the connections of those who make requests of HTTP/1 have in common. */
  http1Terms(audience: Audience): Omit<Http1Terms, 'find' | 'refused'> {
    const { limits, clock, newTraceparent, newCorrelationId } = this.#common();
    const { maxHeaderListBytes: maxHeaderBytes, stallMs } = limits;
    return { audience, clock, newTraceparent, newCorrelationId, limits: { maxHeaderBytes, stallMs } };
  }

  /** Counts such a refusal, and puts it on record. */
  unreadRefused({ direction, peer, remoteAddress, rejection: cause, correlationId, httpStatus }: UnreadRefusal): void {
    const { counters, decisions } = this.#deps;
    counters.of(direction, peer === undefined ? 'other' : decisions.peerLabel(peer)).refused(OTHER_CALL, {
      grpcStatus: undefined,
      httpStatus,
      resetCode: undefined,
      cancelled: false,
      source: 'sidecar',
      rejection: cause,
      correlationId,
      durationMs: 0,
      requestBytes: 0,
      responseBytes: 0,
      requestMessages: 0,
      responseMessages: 0,
    });
    decisions.refused({ correlationId, subject: peer ?? '', direction, remoteAddress, cause });
  }

  /** Why the session permits no connection whose calls nobody can see; `undefined`: it does. */
  opaqueRejection(session: Session, direction: Direction): Rejection | undefined {
    const { state, self, clock } = this.#deps;
    const [from, to] = direction === 'outbound' ? [self, session.peer] : [session.peer, self];
    if (state()?.grantPolicy.allowsOpaque({ from, to }) === true) return undefined;
    if (isObserved(state(), [from, to], clock.now())) return undefined;
    return rejection(
      'OPAQUE_NOT_GRANTED',
      'the grant lists calls, and this connection speaks neither HTTP/2 nor HTTP/1',
    );
  }

  #common() {
    const { clock, random, settings } = this.#deps;
    const limits = {
      maxConcurrent: settings.maxConcurrent,
      maxHeaderListBytes: settings.maxHeaderBytes,
      maxDeadlineMs: settings.maxDeadlineMs,
      stallMs: settings.stallTimeoutMs,
    };
    return {
      limits,
      clock,
      newTraceparent: () => this.#traces.start(),
      newCorrelationId: () => random.bytes(9).toString('base64url'),
    };
  }
}

/** The fields that tell our agent who calls; made anew when the session stands on another permit. */
function identityOf(session: Session): () => readonly HeaderField[] {
  let permit: PeerPermit | undefined;
  let fields = NOBODY;
  return () => {
    if (session.permit !== undefined && session.permit !== permit) {
      permit = session.permit;
      fields = [
        { name: IDENTITY_FIELD.spiffeId, value: permit.peer },
        { name: IDENTITY_FIELD.agent, value: agentNameOf(permit.peer) },
        { name: IDENTITY_FIELD.instance, value: permit.instance },
        ...(permit.baseline === undefined ? [] : [{ name: IDENTITY_FIELD.baseline, value: permit.baseline }]),
      ];
    }
    return fields;
  };
}
