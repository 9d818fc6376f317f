/** The agent's way to its model, put together: the port, what decides, and where answers come from. */
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { PromptBook } from '../../domain/inference/prompt-book.ts';
import type { TrustedKeys } from '../../domain/candidate.ts';
import type { MeshState } from '../../domain/mesh-state.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import { checkEvidence } from '../../crypto/evidence.ts';
import type { TlsContext } from '../../crypto/tls-context.ts';
import type { TrustedRoots } from '../../membership/peer-inspection.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import type { Logger } from '../../platform/logger.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { Readiness } from '../../platform/readiness.ts';
import type { DecisionLog } from '../decision-log.ts';
import { newCorrelationId } from '../exchange/acceptor.ts';
import type { MeasurementResult } from '../measure/measurement-result.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import { InUseGuard } from './in-use-guard.ts';
import type { InUseOverlay } from './in-use-overlay.ts';
import { InferencePort } from './inference-port.ts';
import type { InferenceConfig } from './inference-section.ts';
import { ModelCalling } from './model-calling.ts';
import { ModelCalls } from './model-calls.ts';
import { ModelNames } from './model-names.ts';
import { PortRefusals } from './port-refusals.ts';
import { ProviderUpstream } from './provider-upstream.ts';
import { inferenceIdOf, ServicePermission } from './service-permission.ts';
import { ServiceUpstream } from './service-upstream.ts';
import type { Upstream } from './upstream.ts';

export interface InferenceDeps {
  readonly config: InferenceConfig;
  /** Relative paths start here. */
  readonly folder: string;
  readonly socketMode: number;
  readonly self: SpiffeId;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly readiness: Readiness;
  readonly decisions: DecisionLog;
  readonly overlay: InUseOverlay;
  readonly atRest: () => MeasurementResult;
  readonly book: PromptBook;
  readonly state: () => MeshState | undefined;
  readonly trusts: () => TrustedKeys;
  readonly roots: () => TrustedRoots;
  /** What we show; `undefined` before this instance is a member. */
  readonly identity: () => { readonly tls: TlsContext; readonly thumbprint: string } | undefined;
  readonly ownRejection: () => Rejection | undefined;
  /** The authority's word that this instance, or its agent, is revoked. */
  readonly revocation: () => Rejection | undefined;
  readonly heldUnder: () => string | undefined;
  readonly liveSessions: () => number;
}

/** What the rest of the sidecar has to do with the agent's calls to its model. */
export class Inference {
  readonly components: readonly Component[];
  readonly #port: InferencePort;
  readonly #calls: ModelCalls;
  readonly #upstream: Upstream;

  /** @throws MeshError `FILE_UNREADABLE`, `CERTIFICATE_INVALID`, `SPIFFE_ID_INVALID` */
  constructor(deps: InferenceDeps) {
    const { config, socketMode, clock, logger, metrics, random, self, state, atRest } = deps;
    const { limits, timeouts } = config;
    this.#calls = new ModelCalls({
      limit: limits.concurrent,
      onCount: (count) => metrics.inferenceInFlight.set(count),
    });
    this.#upstream = upstreamOf(deps);
    const names = new ModelNames({
      baselines: () => state()?.baselines.get(self) ?? [],
      now: () => clock.now(),
      measurement: () => {
        const result = atRest();
        return result.ok ? result.measurement : undefined;
      },
      modelMap: config.provider?.model_map ?? {},
    });
    const guard = new InUseGuard({
      ...deps,
      callerIsAgent: () => config.agent_only || this.#port.closedToOthers,
      onlyWayToModel: config.only_way_to_model,
      listen: () => this.#port.address,
    });
    const calling = new ModelCalling({
      clock,
      logger,
      metrics,
      calls: this.#calls,
      guard,
      upstream: this.#upstream,
      names,
      newCorrelationId: () => newCorrelationId({ random }),
      limits: { bodyBytes: limits.body_bytes, answerBytes: limits.answer_bytes, eventBytes: limits.event_bytes },
    });
    this.#port = new InferencePort({
      listen: config.listen,
      socketMode,
      requestTimeoutMs: timeouts.request,
      maxConnections: limits.connections,
      logger,
      onConnections: (count) => metrics.inferenceConnections.set(count),
      take: (request, response) => calling.take(request, response),
      refusals: new PortRefusals({
        clock,
        metrics,
        decisions: deps.decisions,
        newCorrelationId: () => newCorrelationId({ random }),
        listen: () => this.#port.address,
      }),
    });
    this.components = [this.#upstream, this.#port];
  }

  /** As bound: `unix:/path` or `host:port`. */
  get address(): string {
    return this.#port.address;
  }

  /** Something that decides about connections to the model may have changed. */
  reconsider(): void {
    this.#upstream.reconsider();
  }

  /** The agent is not in order any more: what it has under way ends. That in-use assurance is missing is no such reason. */
  cut(cause: Rejection): void {
    if (cause.code !== 'ASSURANCE_TOO_LOW') this.#calls.endAll(cause);
  }

  /** Takes no new calls, and resolves when those under way are over, at the latest when the time is, or somebody is in a hurry. */
  async drain({ withinMs, cut }: { readonly withinMs: number; readonly cut: AbortSignal }): Promise<void> {
    const cause = rejection('PEER_DRAINING', 'this sidecar is shutting down');
    this.#calls.close(cause);
    this.#port.refuseNew();
    const end = (): void => this.#calls.endAll(cause);
    const cancel = after({ delayMs: withinMs, run: end });
    cut.addEventListener('abort', end, { once: true });
    if (cut.aborted) end();
    await this.#calls.quiet();
    cancel();
    cut.removeEventListener('abort', end);
  }
}

function upstreamOf(deps: InferenceDeps): Upstream {
  const { config, self, clock } = deps;
  const { connect, first_byte: firstByteMs, idle: idleMs } = config.timeouts;
  const shared = { ...deps, connectTimeoutMs: connect, timeouts: { firstByteMs, idleMs } };
  if (config.provider !== undefined) return new ProviderUpstream({ ...shared, config: config.provider });
  // The schema has it that there is exactly one of the two.
  const { name = 'default', address = '' } = config.service ?? {};
  const id = inferenceIdOf(self, name);
  const permission = new ServicePermission(id, { ...deps, now: () => clock.now() });
  return new ServiceUpstream({
    ...shared,
    id,
    address,
    attestationIntervalMs: config.attestation_interval,
    permission: () => permission.check(),
    checkPeer: (peer) => permission.checkPeer(peer),
    checkEvidence,
  });
}
