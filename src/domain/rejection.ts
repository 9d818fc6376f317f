import type { Difference, Dimension } from './measurement.ts';
import type { RejectionCode, WireReason } from './rejection-codes.ts';

export { REJECTIONS, REJECTION_CODES, WIRE_REASONS } from './rejection-codes.ts';
export type { RejectionCode, WireReason } from './rejection-codes.ts';

export const DRIFT_CODES = {
  system_prompt: 'SYSTEM_PROMPT_DRIFT',
  knowledge_base: 'KNOWLEDGE_BASE_DRIFT',
  model: 'MODEL_DRIFT',
  tools: 'TOOLS_DRIFT',
} as const satisfies Record<Dimension, RejectionCode>;

/** Which dimension a code speaks of, if it is one of drift. */
export function driftDimension(code: RejectionCode): Dimension | undefined {
  return (Object.keys(DRIFT_CODES) as Dimension[]).find((dimension) => DRIFT_CODES[dimension] === code);
}

/** The two readings of one instant, kept wherever a decision hung on time. Milliseconds since the epoch. */
export interface Clocks {
  readonly ours: number;
  readonly theirs: number;
  readonly what: string;
}

/** Why something was refused or ended. Goes to the operator in full; the peer gets `wire` and the correlation id. */
export interface Rejection {
  readonly code: RejectionCode;
  /** One line of plain text that names what was compared; safe for logs, never sent to the peer. */
  readonly detail: string;
  /** Set where a sidecar found its own agent not to be in order; else the peer is meant. */
  readonly self?: true;
  /** Only for drift: what differs from the nearest baseline, all dimensions. */
  readonly differences?: readonly Difference[];
  /** Only for drift: the baseline that shares most with the observation. */
  readonly nearestBaseline?: string;
  readonly clocks?: Clocks;
  /** Only for drift of our own agent that its call to the model showed: which call. What differs where is with that one. */
  readonly inUse?: { readonly correlationId: string };
  /** Only for a name that leads nowhere: names that would have led somewhere, as far as they fit. */
  readonly known?: readonly string[];
  /** Only for PEER_REFUSED and PEER_ENDED: what the peer told us. */
  readonly peerSaid?: { readonly reason: WireReason; readonly correlationId: string };
}

export function rejection(
  code: RejectionCode,
  detail: string,
  more: Omit<Rejection, 'code' | 'detail'> = {},
): Rejection {
  return { code, detail, ...more };
}
