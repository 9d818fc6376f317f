import type { SpiffeId } from '../domain/agent-id.ts';
import type { RootPin } from '../crypto/root-pin.ts';
import { MeshError } from '../domain/mesh-error.ts';
import type { Rejection } from '../domain/rejection.ts';
import type { Clock } from '../platform/clock.ts';
import type { Component } from '../platform/component.ts';
import type { Logger } from '../platform/logger.ts';
import type { RandomSource } from '../platform/random.ts';
import type { Readiness } from '../platform/readiness.ts';
import type { Enrollment } from '../membership/enrollment.ts';
import type { Membership } from '../membership/join.ts';
import { joinPatiently } from '../membership/patient-join.ts';
import type { DecisionLog } from './decision-log.ts';
import { InstanceIdentity } from './identity/instance-identity.ts';
import type { TrustStore } from '../membership/trust-store.ts';
import { Reporter } from './reporter.ts';
import type { Session } from './session/session.ts';
import type { OperatorAnswer } from '../wire/generated/ait/v1/OperatorAnswer.ts';
import type { OperatorQuestion__Output } from '../wire/generated/ait/v1/OperatorQuestion.ts';
import type { OwnStatus } from './wire-report.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';
import { readKeptRoots } from './state/kept-roots.ts';
import { StateReceiver } from './state/state-receiver.ts';
import { StateWatch } from './state/state-watch.ts';

export interface MembershipDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly trust: TrustStore;
  readonly readiness: Readiness;
  readonly decisions: DecisionLog;
  readonly enrollment: Enrollment;
  /** The authority's `host:port`. */
  readonly authorityAddress: string;
  readonly stateDir: string;
  readonly handshakeTimeoutMs: number;
  readonly dataAddress: () => string;
  readonly wantedPeers: () => readonly SpiffeId[];
  readonly ownRejection: () => Rejection | undefined;
  readonly sessions: () => readonly Session[];
  readonly status: () => OwnStatus;
  /** Answers an operator's question. */
  readonly answer: (question: OperatorQuestion__Output) => OperatorAnswer;
  readonly onToken: () => void;
  readonly onRotated: () => void;
  readonly onState: (change: { readonly refresh: boolean }) => void;
  readonly onRevoked: (cause: Rejection) => void;
}

/** What the instance has through being a member of the mesh: its identity, and its connection to the authority. */
export class MeshMembership implements Component {
  readonly name = 'membership';
  readonly #deps: MembershipDeps;
  readonly #stopping = new AbortController();
  readonly #receiver: StateReceiver;
  #identity: InstanceIdentity | undefined;
  #watch: StateWatch | undefined;
  #revocation: Rejection | undefined;
  #reporter: Reporter | undefined;

  constructor(deps: MembershipDeps) {
    this.#deps = deps;
    const { subject: self, trustDomain } = deps.enrollment;
    this.#receiver = new StateReceiver({ ...deps, self, trustDomain });
  }

  /** @throws MeshError `INTERNAL` before the instance has joined */
  get identity(): InstanceIdentity {
    if (this.#identity === undefined)
      throw new MeshError('INTERNAL', 'the identity was used before the sidecar had joined');
    return this.#identity;
  }

  get joined(): boolean {
    return this.#identity !== undefined;
  }

  get state(): StateReceiver['state'] {
    return this.#receiver.state;
  }

  /** Joins, however long the authority takes to be there; a refusal that is final is an error. */
  async start(signal: AbortSignal): Promise<void> {
    const { trust, decisions, readiness } = this.#deps;
    const membership = await this.#join(signal);
    trust.replace([membership.bundle]);
    const identity = new InstanceIdentity(membership, {
      ...this.#deps,
      inUse: (thumbprint) => this.#deps.sessions().some(({ terms }) => terms?.ours.thumbprint === thumbprint),
      rejoin: async () => {
        const rejoined = await this.#join(this.#stopping.signal);
        trust.replace([rejoined.bundle]);
        return rejoined;
      },
      onRotated: () => {
        this.#watch?.reopen();
        this.#reporter?.reopen();
        this.#deps.onRotated();
      },
    });
    const channel = () => identity.current.channel();
    this.#identity = identity;
    this.#watch = new StateWatch({
      ...this.#deps,
      receiver: this.#receiver,
      channel,
      onRevoked: (cause) => this.#heardOfRevocation(cause),
    });
    const reporter = new Reporter({ ...this.#deps, channel });
    this.#reporter = reporter;
    decisions.onDecision((decision) => reporter.add(decision));
    readiness.onChange(() => reporter.changed());
    await this.#receiver.restore();
  }

  /** Why the authority gives us nothing any more, where it said that we are revoked. */
  get revocation(): Rejection | undefined {
    return this.#revocation;
  }

  #heardOfRevocation(cause: Rejection | undefined): void {
    const isNews = cause !== undefined && this.#revocation === undefined;
    this.#revocation = cause;
    if (isNews) this.#deps.onRevoked(cause);
  }

  /** Begins to receive state and to renew; called when everything that reacts to it is in place. */
  follow(): void {
    this.#watch?.start();
    this.#reporter?.start();
  }

  /** Something that the authority is told of may have changed. */
  report(): void {
    this.#reporter?.changed();
  }

  /**
   * Has the authority send nobody here any more, at once and without the time it grants to those who fell silent; from
   * now on `dataAddress` must be empty. Never rejects: an authority that cannot be told finds out by itself.
   */
  async leave(): Promise<void> {
    try {
      await this.#identity?.current.tellAddress();
    } catch (error) {
      this.#deps.logger.warn('leaving_not_told', { error });
    }
  }

  /** Our agent is to call others now: the authority is told with the next Watch. */
  wishesChanged(): void {
    this.#watch?.reopen();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the sidecar is stopping'));
    this.#watch?.stop();
    this.#reporter?.stop();
    this.#identity?.stop();
    await this.#receiver.flush();
  }

  /** Roots that may have come since the credential was made: as we know them now, or as we knew them before a restart. */
  async #knownRoots(): Promise<readonly RootPin[]> {
    const { trust, enrollment, stateDir, logger } = this.#deps;
    const pins = trust.rootPins(enrollment.trustDomain);
    return pins.length > 0 ? pins : readKeptRoots(stateDir, enrollment.trustDomain, logger);
  }

  async #join(signal: AbortSignal): Promise<Membership> {
    return joinPatiently({ ...this.#deps, knownRoots: await this.#knownRoots() }, signal);
  }
}
