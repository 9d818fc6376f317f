import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Decision__Output } from '../../wire/generated/ait/v1/Decision.ts';

/** A decision as the authority keeps it and tells it to operators: what one sidecar said, bounded, and who said it. */
export interface StoredDecision {
  /** Milliseconds since the epoch, by the sidecar's clock. */
  readonly at: number;
  readonly agent: SpiffeId;
  readonly instance: string;
  readonly correlation_id: string;
  /** SPIFFE ID as far as it was proven; else empty. */
  readonly peer: string;
  readonly outcome: string;
  /** Rejection code; empty for `admitted`. */
  readonly code: string;
  readonly detail: string;
  readonly role: string;
  readonly session_id: string;
  readonly self: boolean;
  readonly connections: number;
  readonly remote_address: string;
  readonly nearest_baseline: string;
  readonly differences: readonly StoredDifference[];
  readonly clocks?: { readonly ours: number; readonly theirs: number; readonly what: string };
}

export interface StoredDifference {
  readonly dimension: string;
  readonly item: string;
  /** Empty where there is none. */
  readonly expected: string;
  readonly observed: string;
}

const MAX_DETAIL_CHARS = 500;
const MAX_NAME_CHARS = 200;
const MAX_DIFFERENCES = 20;
const LAST_INSTANT = 8.64e15;

/** Keeps no more of a decision than its bounds allow, whatever a sidecar sends. */
export function storedDecision(
  decision: Decision__Output,
  { agent, instance }: { readonly agent: SpiffeId; readonly instance: string },
): StoredDecision {
  const { ourClockMs, theirClockMs, comparedWith } = decision;
  return {
    at: instant(decision.atMs),
    agent,
    instance,
    correlation_id: name(decision.correlationId),
    peer: decision.peer.slice(0, 2048),
    outcome: name(decision.outcome),
    code: name(decision.code),
    detail: decision.detail.slice(0, MAX_DETAIL_CHARS),
    role: name(decision.role),
    session_id: name(decision.sessionId),
    self: decision.self,
    connections: decision.connections,
    remote_address: name(decision.remoteAddress),
    nearest_baseline: name(decision.nearestBaseline),
    differences: decision.differences.slice(0, MAX_DIFFERENCES).map(({ dimension, item, expected, observed }) => ({
      dimension: name(dimension),
      item: name(item),
      expected: name(expected),
      observed: name(observed),
    })),
    ...(ourClockMs !== 0 && {
      clocks: { ours: instant(ourClockMs), theirs: instant(theirClockMs), what: name(comparedWith) },
    }),
  };
}

function name(text: string): string {
  return text.slice(0, MAX_NAME_CHARS);
}

function instant(at: number): number {
  return Number.isFinite(at) ? Math.min(Math.max(at, 0), LAST_INSTANT) : 0;
}
