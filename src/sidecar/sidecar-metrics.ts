import { DIMENSIONS } from '../domain/measurement.ts';
import { REJECTION_CODES } from '../domain/rejection.ts';
import { createCallMetrics } from './calls/call-metrics.ts';
import { createInferenceMetrics } from './inference/inference-metrics.ts';
import { FAILURE_REASONS } from './measure/measurement-problem.ts';
import type { MetricsRegistry } from '../platform/metrics-registry.ts';
import { createProtocolMetrics } from './protocols/protocol-metrics.ts';
import { BUDGETS } from './session/peer-budget.ts';

/** Which end of a control connection this sidecar was: `outbound` dialled. */
export const DIRECTIONS = ['inbound', 'outbound'] as const;
export type Direction = (typeof DIRECTIONS)[number];

export const CLOSE_REASONS = ['finished', 'drift', 'revoked', 'expired', 'drain', 'peer', 'policy', 'error'] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

export const STATE_REFUSALS = [
  'STATE_WRONG_DOMAIN',
  'STATE_WRONG_RECIPIENT',
  'STATE_CONTENT_MISMATCH',
  'STATE_EXPIRED',
  'STATE_ROLLED_BACK',
  'STATE_FORKED',
  'STATE_INVALID',
  'STATE_INCOMPLETE',
] as const;

const EXCHANGE_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ENFORCEMENT_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];
/** Per-peer series of peers that have gone away are dropped after this long. */
const IDLE_AFTER_MS = 10 * 60_000;

export type SidecarMetrics = ReturnType<typeof createSidecarMetrics>;

/** Every metric of a sidecar, in one place; the reference page is generated from it. */
export function createSidecarMetrics(registry: MetricsRegistry) {
  const direction = DIRECTIONS;
  const peer = 'configured';
  return {
    exchanges: registry.counter({
      name: 'exchanges_total',
      help: 'Exchanges with other sidecars, by how they ended: accepted, or the rejection code.',
      labels: { direction, result: ['accepted', ...REJECTION_CODES] },
    }),
    exchangeDuration: registry.histogram({
      name: 'exchange_duration_seconds',
      help: 'From the first byte of an exchange to its verdict.',
      labels: { direction },
      buckets: EXCHANGE_SECONDS,
    }),
    sessions: registry.gauge({
      name: 'sessions',
      help: 'Live sessions.',
      labels: { peer },
    }),
    sessionsTerminated: registry.counter({
      name: 'sessions_terminated_total',
      help: 'Live sessions that ended, by the first cause.',
      labels: { reason: REJECTION_CODES },
    }),
    sessionContinuations: registry.counter({
      name: 'session_continuations_total',
      help: 'Attempts to go on with a live session under a new certificate, over a new control connection.',
      labels: { direction, result: ['ok', 'failed'] },
    }),
    connections: registry.gauge({
      name: 'connections',
      help: 'Open data connections.',
      labels: { direction },
    }),
    connectionsRefused: registry.counter({
      name: 'connections_refused_total',
      help: 'Connections that were refused outside an exchange: by TLS, as data connections, or for want of a session.',
      labels: { direction, reason: REJECTION_CODES },
    }),
    connectionsClosed: registry.counter({
      name: 'connections_closed_total',
      help: 'Data connections that closed, by what closed them.',
      labels: { reason: CLOSE_REASONS },
    }),
    instanceEjections: registry.counter({
      name: 'instance_ejections_total',
      help: 'Times an instance of a peer got no new connections for a while, because it failed too often in a row.',
      labels: { peer },
      idleAfterMs: IDLE_AFTER_MS,
    }),
    circuitOpen: registry.gauge({
      name: 'circuit_open',
      help: 'Whether connections to the peer are refused at once because all of its instances failed: 1 until one succeeds.',
      labels: { peer },
    }),
    budgetExceeded: registry.counter({
      name: 'budget_exceeded_total',
      help: 'Connections and calls of our agent that were refused because it has as many under way as it may.',
      labels: { peer, budget: BUDGETS },
      idleAfterMs: IDLE_AFTER_MS,
    }),
    drift: registry.counter({
      name: 'drift_total',
      help: 'Drift seen, per differing dimension: of a peer, or of this sidecar\'s own agent (peer="self").',
      labels: { peer, dimension: DIMENSIONS, action: ['denied', 'terminated', 'observed'] },
      idleAfterMs: IDLE_AFTER_MS,
    }),
    driftEnforcement: registry.histogram({
      name: 'drift_enforcement_seconds',
      help: 'From the moment drift was detected to the reset of the last socket it concerned.',
      buckets: ENFORCEMENT_SECONDS,
    }),
    wouldDeny: registry.counter({
      name: 'would_deny_total',
      help: 'What would have been refused, had observe mode not waived it.',
      labels: { reason: REJECTION_CODES },
    }),
    measurementFailures: registry.counter({
      name: 'measurement_failures_total',
      help: 'Measurements that gave no digest, by dimension and reason.',
      labels: { dimension: DIMENSIONS, reason: FAILURE_REASONS },
    }),
    measurements: registry.counter({
      name: 'measurement_changes_total',
      help: 'Settled changes of the own measurement, by what this sidecar then thought of itself.',
      labels: { standing: ['in_order', 'refused'] },
    }),
    certificateExpiry: registry.gauge({
      name: 'certificate_expiry_timestamp_seconds',
      help: 'When the credential in use expires.',
      labels: { kind: ['svid', 'ait'] },
    }),
    certificateRotations: registry.counter({
      name: 'certificate_rotations_total',
      help: 'Attempts to renew a credential.',
      labels: { kind: ['svid', 'ait'], result: ['ok', 'failed'] },
    }),
    stateRevision: registry.gauge({
      name: 'bundle_revision',
      help: 'Revision of the signed state in force.',
    }),
    stateSuccess: registry.gauge({
      name: 'bundle_last_success_timestamp_seconds',
      help: 'When signed state was last accepted.',
    }),
    stateKept: registry.gauge({
      name: 'bundle_kept',
      help: 'Whether the signed state in force is on disk: 0 means that a restart could not tell an older one from it.',
    }),
    stateRefused: registry.counter({
      name: 'bundle_refused_total',
      help: 'Signed state that was refused: rolled back, forked, for somebody else, or not verifiable.',
      labels: {
        reason: STATE_REFUSALS,
      },
    }),
    outageTolerance: registry.gauge({
      name: 'outage_tolerance_remaining_seconds',
      help: 'How long this sidecar may go on without the authority: the least of what is left of signed state, AIT and SVID.',
    }),
    clockSkew: registry.gauge({
      name: 'peer_clock_skew_seconds',
      help: "The peer's clock minus ours, at its last proof. For information; nothing is decided by it.",
      labels: { peer },
      idleAfterMs: IDLE_AFTER_MS,
    }),
    reportsDropped: registry.counter({
      name: 'reports_dropped_total',
      help: 'Decisions that could not be reported to the authority because the queue was full.',
    }),
    unauthenticated: registry.gauge({
      name: 'unauthenticated_connections',
      help: 'Inbound connections that have not finished an exchange or named a session yet.',
    }),
    watchesRefused: registry.counter({
      name: 'file_watches_refused_total',
      help: 'Times the system refused to watch a measured file, so that only the timer notices its changes.',
      labels: { dimension: DIMENSIONS },
    }),
    configReloads: registry.counter({
      name: 'config_reloads_total',
      help: 'Times the configuration was read again because it changed or somebody asked: applied, or refused as a whole.',
      labels: { result: ['applied', 'refused'] },
    }),
    configProblems: registry.gauge({
      name: 'config_problems',
      help: 'Problems of the configuration on disk, because of which it is not in force.',
    }),
    configRestartNeeded: registry.gauge({
      name: 'config_restart_needed',
      help: 'Settings that differ on disk and count only after a restart.',
    }),
    ...createCallMetrics(registry, direction),
    ...createInferenceMetrics(registry),
    ...createProtocolMetrics(registry, direction),
    buildInfo: registry.gauge({
      name: 'build_info',
      help: 'Constant 1; the labels tell the version.',
      labels: { version: 'configured', node: 'configured' },
    }),
  };
}
