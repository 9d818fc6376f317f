import type { SpiffeId } from '../domain/agent-id.ts';
import type { Peers } from './live-config.ts';
import { BUDGETS, type BudgetName, type PeerBudget } from './session/peer-budget.ts';
import type { PeerView } from './session/peer-sessions.ts';
import type { SessionPool } from './session/session-pool.ts';

/** One peer that our agent calls, for people. */
export interface PeerReport extends PeerView {
  readonly agent: SpiffeId;
  readonly budget: Readonly<Record<BudgetName, { readonly used: number; readonly limit: number }>>;
}

/** Each peer of the configuration in force: its instances, its circuit, and what our agent has under way with it. */
export function describePeers({ peers, pool, budget }: { peers: Peers; pool: SessionPool; budget: PeerBudget }) {
  return [...peers].map(([agent, { limits }]): PeerReport => {
    const used = budget.used(agent);
    const share = (name: BudgetName) => [name, { used: used[name], limit: limits[name] }] as const;
    return {
      agent,
      ...pool.describe(agent),
      budget: Object.fromEntries(BUDGETS.map(share)) as PeerReport['budget'],
    };
  });
}
