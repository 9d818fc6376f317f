import type { SpiffeId, TrustDomain } from '../../domain/agent-id.ts';
import type { StateHead } from '../../domain/mesh-state.ts';
import { contentDigest } from '../../domain/state-head.ts';
import { stateHeadToJson } from '../../domain/state-objects.ts';
import type { Change } from '../../platform/store.ts';

/** What one agent gets next. */
export interface NextHead {
  readonly agent: SpiffeId;
  readonly head: StateHead;
  /** Only the time is new. */
  readonly refresh: boolean;
}

export interface NextHeadQuestion {
  readonly trustDomain: TrustDomain;
  readonly agent: SpiffeId;
  readonly epoch: number;
  /** Digests of what is in force for the agent, sorted, each once. */
  readonly objects: readonly string[];
  readonly last: StateHead | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Milliseconds since the last head was signed, by the monotonic clock. */
  readonly passedMs: number;
  readonly outageToleranceMs: number;
}

export const HEADS = 'state_heads';
/**
 * How fast the time of heads goes on when the wall clock is behind that of the last one, as it is after it was set back.
 * Somewhat slower than time itself, so that heads of a clock that had been ahead come back to the right time.
 */
const BEHIND_SPEED = 0.9;

/** `undefined` where the last head still says it all. */
export function nextHead(question: NextHeadQuestion): StateHead | undefined {
  const { trustDomain, agent, epoch, objects, last, now, passedMs, outageToleranceMs } = question;
  const content = last !== undefined && sameList(objects, last.objects) ? last.content : contentDigest(objects);
  // Never before the last one, also when the clock was set back: a sidecar refuses an older signature.
  // Nor does it stand still then: those whose clocks are right would run out of state until ours comes back.
  const issuedAt = Math.max(now, last === undefined ? 0 : last.issuedAt + Math.floor(passedMs * BEHIND_SPEED));
  const notAfter = issuedAt + outageToleranceMs;
  const base = { domain: trustDomain, recipient: agent, epoch, content, issuedAt, notAfter, objects };
  if (last === undefined) return { ...base, revision: 1, previous: null };
  if (last.epoch < epoch) return { ...base, revision: last.revision + 1, previous: null };
  if (last.content !== content) {
    return { ...base, revision: last.revision + 1, previous: { revision: last.revision, content: last.content } };
  }
  const due = notAfter - last.notAfter >= outageToleranceMs / 3 || last.notAfter > notAfter;
  return due ? { ...base, revision: last.revision, previous: last.previous } : undefined;
}

/** Whether only the time is new. */
export function isRefresh(last: StateHead | undefined, next: StateHead): boolean {
  return last?.epoch === next.epoch && last.revision === next.revision && last.content === next.content;
}

export function changeOfHead({ agent, head }: NextHead): Change {
  return { kind: 'put', collection: HEADS, key: agent, value: stateHeadToJson(head) };
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
