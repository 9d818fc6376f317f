import type { SpiffeId } from '../../domain/agent-id.ts';

const NOBODY: ReadonlySet<SpiffeId> = new Set();

/**
 * Whom the sidecars with an open Watch are configured to call. It permits nothing: it tells the roll-out which agents
 * would call each other, so that a missing grant can be observed before it is enforced.
 */
export class WantedPeers {
  readonly #watches = new Map<symbol, { readonly agent: SpiffeId; readonly peers: readonly SpiffeId[] }>();
  #of: ReadonlyMap<SpiffeId, ReadonlySet<SpiffeId>> = new Map();
  #by: ReadonlyMap<SpiffeId, ReadonlySet<SpiffeId>> = new Map();
  #isStale = false;
  #onChange: ((concerned: readonly SpiffeId[]) => void) | undefined;

  /** Notes what one Watch wants. @returns a function that forgets it. */
  add(agent: SpiffeId, peers: readonly SpiffeId[]): () => void {
    const watch = Symbol(agent);
    if (peers.length === 0) return () => undefined;
    this.#watches.set(watch, { agent, peers });
    this.#changed([agent, ...peers]);
    return () => {
      if (this.#watches.delete(watch)) this.#changed([agent, ...peers]);
    };
  }

  /** Calls back with the agents on both sides of a wish that came or went; one listener. */
  onChange(listener: (concerned: readonly SpiffeId[]) => void): void {
    this.#onChange = listener;
  }

  /** Whom instances of this agent want to call. */
  of(agent: SpiffeId): ReadonlySet<SpiffeId> {
    this.#index();
    return this.#of.get(agent) ?? NOBODY;
  }

  /** Whose instances want to call this agent. */
  by(agent: SpiffeId): ReadonlySet<SpiffeId> {
    this.#index();
    return this.#by.get(agent) ?? NOBODY;
  }

  #changed(concerned: readonly SpiffeId[]): void {
    this.#isStale = true;
    this.#onChange?.(concerned);
  }

  #index(): void {
    if (!this.#isStale) return;
    this.#isStale = false;
    const [callees, callers] = [new Map<SpiffeId, Set<SpiffeId>>(), new Map<SpiffeId, Set<SpiffeId>>()];
    for (const { agent, peers } of this.#watches.values()) {
      for (const peer of peers) {
        callees.set(agent, (callees.get(agent) ?? new Set()).add(peer));
        callers.set(peer, (callers.get(peer) ?? new Set()).add(agent));
      }
    }
    this.#of = callees;
    this.#by = callers;
  }
}
