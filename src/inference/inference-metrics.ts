import type { MetricsRegistry } from '../platform/metrics-registry.ts';

export const SERVICE_ENDPOINTS = ['chat_completions', 'responses', 'models', 'attestation', 'other'] as const;
export type ServiceEndpoint = (typeof SERVICE_ENDPOINTS)[number];

/** `aborted`: the caller hung up before the end of the answer. */
export const REQUEST_OUTCOMES = ['ok', 'invalid', 'unauthenticated', 'overloaded', 'aborted', 'failed'] as const;
export type RequestOutcome = (typeof REQUEST_OUTCOMES)[number];

export const CONNECTION_REFUSALS = ['tls', 'alpn', 'resumed', 'certificate', 'revoked'] as const;

export type InferenceMetrics = ReturnType<typeof createInferenceMetrics>;

/** Every metric of an inference service, in one place; the reference page is generated from it. */
export function createInferenceMetrics(registry: MetricsRegistry) {
  return {
    requests: registry.counter({
      name: 'inference_service_requests_total',
      help: 'Requests to the inference service, by how they ended.',
      labels: { endpoint: SERVICE_ENDPOINTS, outcome: REQUEST_OUTCOMES },
    }),
    answers: registry.gauge({
      name: 'inference_service_answers_open',
      help: 'Answers under way, streamed or not.',
    }),
    tokens: registry.counter({
      name: 'inference_service_tokens_total',
      help: 'Tokens, which are words here: read in prompts, written in answers.',
      labels: { model: 'configured', kind: ['prompt', 'completion'] },
    }),
    connections: registry.gauge({
      name: 'inference_service_connections',
      help: 'Open connections of sidecars.',
    }),
    connectionsRefused: registry.counter({
      name: 'inference_service_connections_refused_total',
      help: 'Connections that were refused before a request was read.',
      labels: { reason: CONNECTION_REFUSALS },
    }),
    certificateExpiry: registry.gauge({
      name: 'certificate_expiry_timestamp_seconds',
      help: 'When the certificate in use expires.',
      labels: { kind: ['svid', 'evidence'] },
    }),
    certificateRotations: registry.counter({
      name: 'certificate_rotations_total',
      help: 'Attempts to renew a certificate.',
      labels: { kind: ['svid'], result: ['ok', 'failed'] },
    }),
    bundleSuccess: registry.gauge({
      name: 'bundle_last_success_timestamp_seconds',
      help: 'When the authority last told whom to trust.',
    }),
    buildInfo: registry.gauge({
      name: 'build_info',
      help: 'Constant 1; the labels tell the version.',
      labels: { version: 'configured', node: 'configured' },
    }),
  };
}
