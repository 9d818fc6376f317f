import { REJECTION_CODES } from '../../domain/rejection.ts';
import type { MetricsRegistry } from '../../platform/metrics-registry.ts';

/**
 * How calls end: with an answer; with an error of the model's own, passed on; because the agent hung up; in observe mode
 * although they would have been refused; or by a rejection.
 */
export const CALL_OUTCOMES = ['answered', 'model_error', 'aborted', 'observed', ...REJECTION_CODES] as const;
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

const CALL_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const IDLE_AFTER_MS = 10 * 60_000;

/** What a sidecar counts of its agent's calls to the model. `model`: an approved one, or `other`. */
export function createInferenceMetrics(registry: MetricsRegistry) {
  return {
    inferenceRequests: registry.counter({
      name: 'inference_requests_total',
      help: "The agent's calls to its model, by how they ended: answered, model_error (the model's own, passed on), aborted (the agent hung up), observed (refused but for observe mode), or the rejection code.",
      labels: { model: 'configured', outcome: CALL_OUTCOMES },
      idleAfterMs: IDLE_AFTER_MS,
    }),
    inferenceDuration: registry.histogram({
      name: 'inference_duration_seconds',
      help: 'From the head of a call to the last byte of its answer; answered calls only.',
      buckets: CALL_SECONDS,
    }),
    inferenceFirstToken: registry.histogram({
      name: 'inference_time_to_first_token_seconds',
      help: 'From the head of a streamed call to the first event of its answer.',
      buckets: CALL_SECONDS,
    }),
    inferenceTokens: registry.counter({
      name: 'inference_tokens_total',
      help: 'Tokens, as answers tell them; streamed answers tell them only if they are asked to.',
      labels: { kind: ['prompt', 'completion'] },
    }),
    inferenceInFlight: registry.gauge({
      name: 'inference_in_flight',
      help: "The agent's calls to its model that are under way.",
    }),
    inferenceConnections: registry.gauge({
      name: 'inference_connections',
      help: 'Open connections to the inference port. Those that were refused are counted by ait_connections_refused_total.',
    }),
    attestationChecks: registry.counter({
      name: 'attestation_checks_total',
      help: 'Times the inference service was asked to prove what it runs: accepted, or the rejection code.',
      labels: { result: ['accepted', ...REJECTION_CODES] },
    }),
  };
}
