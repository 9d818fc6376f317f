import { agentNameOf, type SpiffeId } from '../../domain/agent-id.ts';
import { isInForce, type Baseline } from '../../domain/baseline.ts';
import type { StateObject } from '../../domain/mesh-state.ts';
import { indexPolicy } from './policy-index.ts';

export const NOTICE_KINDS = ['baseline', 'observe', 'join_credential', 'root'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** How long ahead an end is announced, in ms; the nearest first. */
export const NOTICE_AHEAD = { '24h': 86_400_000, '7d': 7 * 86_400_000 } as const;
export type NoticeThreshold = keyof typeof NOTICE_AHEAD;

/** Something that will end by itself. */
export interface Notice {
  readonly kind: NoticeKind;
  /** Of the baseline, agent, credential or root. */
  readonly id: string;
  readonly agent: SpiffeId | undefined;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
  /** What will happen then, and what to do. */
  readonly consequence: string;
}

export interface NoticeSources {
  readonly objects: readonly StateObject[];
  readonly credentials: readonly { readonly id: string; readonly agent: SpiffeId; readonly expiresAt: number }[];
  /** The authority's own roots. */
  readonly roots: readonly { readonly id: string; readonly notAfter: number }[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Everything that will end, the next end first. Pure. */
export function findNotices({ objects, credentials, roots, now }: NoticeSources): readonly Notice[] {
  const { agents, baselinesOf } = indexPolicy(objects);
  const notices: Notice[] = [];
  for (const [agent, baselines] of baselinesOf) {
    if (agents.get(agent)?.lifecycle === 'retired') continue;
    for (const baseline of baselines) {
      const { id, state, notAfter } = baseline;
      if (notAfter === undefined || state === 'revoked') continue;
      notices.push({ kind: 'baseline', id, agent, endsAt: notAfter, consequence: endOfWindow(baseline, baselines) });
    }
  }
  for (const { id, observeUntil } of agents.values()) {
    if (observeUntil === undefined) continue;
    const consequence = `drift and missing grants of ${agentNameOf(id)} are enforced from then on: what does not match is cut`;
    notices.push({ kind: 'observe', id, agent: id, endsAt: observeUntil, consequence });
  }
  for (const { id, agent, expiresAt } of credentials) {
    const consequence = `no instance of ${agentNameOf(agent)} can join with it any more, also after a restart; those that are members stay`;
    notices.push({ kind: 'join_credential', id, agent, endsAt: expiresAt, consequence });
  }
  for (const { id, notAfter } of roots) {
    const consequence =
      'no certificate under this root is valid any more: the whole mesh stands still, unless a new root has taken over';
    notices.push({ kind: 'root', id, agent: undefined, endsAt: notAfter, consequence });
  }
  return notices.filter(({ endsAt }) => endsAt > now).toSorted((a, b) => a.endsAt - b.endsAt);
}

/** The nearest threshold that an end is within; `undefined`: it is further away than all. */
export function thresholdOf({ endsAt }: Notice, now: number): NoticeThreshold | undefined {
  const within = Object.entries(NOTICE_AHEAD).find(([, ahead]) => endsAt - now <= ahead);
  return within?.[0] as NoticeThreshold | undefined;
}

/** What is in force of an agent once a window has ended. */
function endOfWindow({ id, agent, notAfter = 0 }: Baseline, baselines: readonly Baseline[]): string {
  const name = agentNameOf(agent);
  const others = baselines.filter((other) => other.id !== id);
  if (others.some((other) => isInForce(other, notAfter))) {
    return `instances of ${name} that match only this baseline are cut; other baselines stay in force`;
  }
  const next = others
    .flatMap(({ state, notBefore }) => (state === 'approved' && notBefore !== undefined ? [notBefore] : []))
    .filter((from) => from > notAfter)
    .toSorted((a, b) => a - b)[0];
  const until = next === undefined ? 'until another is approved' : `until ${new Date(next).toISOString()}`;
  return `no baseline of ${name} is in force from then on: every instance of ${name} is refused everywhere and its open sessions are cut, ${until}`;
}
