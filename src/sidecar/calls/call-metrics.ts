import type { AnswerSource, CallOutcome } from '../../dataplane/gate/call.ts';
import { REJECTION_CODES } from '../../domain/rejection.ts';
import type { MetricsRegistry } from '../../platform/metrics-registry.ts';

/** In the order of their numbers, from 0 on. */
const GRPC_STATUS = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** How a call ended: gRPC's status by name, HTTP's by class, or without any: reset, or given up by the caller. */
export const CALL_CODES = [...GRPC_STATUS, '2xx', '3xx', '4xx', '5xx', 'reset', 'cancelled'] as const;
export type CallCode = (typeof CALL_CODES)[number];

export const ANSWER_SOURCES = ['app', 'sidecar', 'peer'] as const satisfies readonly AnswerSource[];
export const WAYS = ['request', 'response'] as const;

const CALL_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const OVERHEAD_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1];
/** Series of peers and methods that nobody calls any more go after this long, in ms. */
const IDLE_AFTER_MS = 10 * 60_000;

export type CallMetrics = ReturnType<typeof createCallMetrics>;

/**
 * What a sidecar counts of the calls between agents. `method`: a pattern of a grant or of `calls.methods`, or `other`.
 *
 * @param direction which side the caller is on: `outbound`: our own agent calls.
 */
export function createCallMetrics(registry: MetricsRegistry, direction: readonly ['inbound', 'outbound']) {
  const peer = 'configured';
  const idleAfterMs = IDLE_AFTER_MS;
  return {
    calls: registry.counter({
      name: 'calls_total',
      help: "Calls between agents, by how they ended (gRPC's status, HTTP's class, reset, cancelled) and who said so: the called agent (app), this sidecar, or the peer's.",
      labels: { direction, peer, method: 'configured', code: CALL_CODES, source: ANSWER_SOURCES },
      idleAfterMs,
    }),
    callDuration: registry.histogram({
      name: 'call_duration_seconds',
      help: 'From the headers of a call to its end; calls that were refused at once are not in it.',
      labels: { direction, peer },
      buckets: CALL_SECONDS,
      idleAfterMs,
    }),
    callsInFlight: registry.gauge({
      name: 'calls_inflight',
      help: 'Calls that are under way.',
      labels: { direction, peer },
      idleAfterMs,
    }),
    callBytes: registry.counter({
      name: 'call_bytes_total',
      help: 'Bytes of the bodies of calls, without padding.',
      labels: { direction, peer, way: WAYS },
      idleAfterMs,
    }),
    callMessages: registry.counter({
      name: 'call_messages_total',
      help: 'gRPC messages of calls.',
      labels: { direction, peer, way: WAYS },
      idleAfterMs,
    }),
    callsCut: registry.counter({
      name: 'calls_cut_total',
      help: 'Calls that were under way when this sidecar ended them, by the rejection code.',
      labels: { direction, reason: REJECTION_CODES },
    }),
    gateOverhead: registry.histogram({
      name: 'gate_overhead_seconds',
      help: 'How long the headers of a call were held up: from having been read to having been written on.',
      buckets: OVERHEAD_SECONDS,
    }),
  };
}

/** Under which code a call is counted. A number that gRPC or HTTP does not know is `UNKNOWN`. */
export function codeOf(outcome: CallOutcome): CallCode {
  return CALL_CODES[codeIndexOf(outcome)] ?? 'UNKNOWN';
}

/** The place of the code in {@link CALL_CODES}. */
export function codeIndexOf({ grpcStatus, httpStatus, resetCode, cancelled }: CallOutcome): number {
  if (grpcStatus !== undefined) return GRPC_STATUS[grpcStatus] === undefined ? UNKNOWN : grpcStatus;
  if (cancelled) return CANCELLED;
  if (resetCode !== undefined || httpStatus === undefined) return RESET;
  const hundreds = Math.floor(httpStatus / 100);
  return hundreds >= 2 && hundreds <= 5 ? FIRST_HTTP + hundreds - 2 : UNKNOWN;
}

const UNKNOWN = CALL_CODES.indexOf('UNKNOWN');
const FIRST_HTTP = CALL_CODES.indexOf('2xx');
const RESET = CALL_CODES.indexOf('reset');
const CANCELLED = CALL_CODES.indexOf('cancelled');
