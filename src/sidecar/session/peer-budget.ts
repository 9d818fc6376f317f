import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';

export const BUDGETS = ['connections', 'pending', 'calls'] as const;
export type BudgetName = (typeof BUDGETS)[number];

/** How many connections and calls of our agent to one peer there may be at once, each at least 1. */
export type BudgetLimits = Readonly<Record<BudgetName, number>>;

/** What a gate asks before a call goes on, and tells when it has ended. */
export interface CallBudget {
  /** Whether one more call may be open; if so it must be given back once. */
  take(peer: SpiffeId): boolean;
  give(peer: SpiffeId): void;
}

/** One connection's part of the budget. */
export interface ConnectionShare {
  /** It is no longer waiting for an instance that takes it. */
  placed(): void;
  /** It is over, whether it was placed or not. */
  give(): void;
}

export interface PeerBudgetOptions {
  /** In force at the moment; `undefined`: our agent does not call this peer, and has no budget for it. */
  readonly limitsOf: (peer: SpiffeId) => BudgetLimits | undefined;
  readonly onExceeded: (peer: SpiffeId, budget: BudgetName) => void;
}

const NOTHING: BudgetLimits = { connections: 0, pending: 0, calls: 0 };

/**
 * What our agent may have under way with one peer at once, so that one peer that hangs cannot take all the memory and
 * sockets there are. Beyond it is refused at once. A limit that is lowered ends nothing.
 */
export class PeerBudget implements CallBudget {
  readonly #options: PeerBudgetOptions;
  readonly #used = new Map<SpiffeId, Record<BudgetName, number>>();

  constructor(options: PeerBudgetOptions) {
    this.#options = options;
  }

  /** Takes a connection into account from the moment the agent has opened it. */
  open(peer: SpiffeId): ConnectionShare | Rejection {
    const exceeded = (['connections', 'pending'] as const).find((budget) => !this.#hasRoom(peer, budget));
    if (exceeded !== undefined) {
      this.#options.onExceeded(peer, exceeded);
      const limit = this.#limitOf(peer, exceeded);
      const what = exceeded === 'pending' ? 'connections that wait for an instance' : 'open connections';
      return rejection('PEER_BUDGET_EXCEEDED', `${limit} ${what} to ${peer}, as many as may be`);
    }
    this.#add(peer, 'connections', 1);
    this.#add(peer, 'pending', 1);
    let isPending = true;
    let isOpen = true;
    const placed = () => {
      if (isPending) this.#add(peer, 'pending', -1);
      isPending = false;
    };
    return {
      placed,
      give: () => {
        placed();
        if (isOpen) this.#add(peer, 'connections', -1);
        isOpen = false;
      },
    };
  }

  take(peer: SpiffeId): boolean {
    if (!this.#hasRoom(peer, 'calls')) {
      this.#options.onExceeded(peer, 'calls');
      return false;
    }
    this.#add(peer, 'calls', 1);
    return true;
  }

  give(peer: SpiffeId): void {
    this.#add(peer, 'calls', -1);
  }

  /** What is under way with a peer now. */
  used(peer: SpiffeId): BudgetLimits {
    return { ...(this.#used.get(peer) ?? NOTHING) };
  }

  #hasRoom(peer: SpiffeId, budget: BudgetName): boolean {
    return (this.#used.get(peer) ?? NOTHING)[budget] < this.#limitOf(peer, budget);
  }

  #limitOf(peer: SpiffeId, budget: BudgetName): number {
    return (this.#options.limitsOf(peer) ?? NOTHING)[budget];
  }

  #add(peer: SpiffeId, budget: BudgetName, amount: number): void {
    const used = this.#used.get(peer) ?? { ...NOTHING };
    used[budget] = Math.max(0, used[budget] + amount);
    if (BUDGETS.every((name) => used[name] === 0)) this.#used.delete(peer);
    else this.#used.set(peer, used);
  }
}
