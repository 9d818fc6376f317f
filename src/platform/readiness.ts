/** What keeps a process from being ready: a name, fixed in code, and the reason an operator reads. */
export interface Blocker {
  readonly name: string;
  readonly reason: string;
}

/** Whether something is ready, and what is in its way. */
export interface ReadinessView {
  readonly ready: boolean;
  /** What is in the way now, oldest first. */
  blockers(): readonly Blocker[];
  /** Resolves once nothing is in the way, at once when nothing is. Rejects with the signal's reason when it aborts. */
  whenReady(signal?: AbortSignal): Promise<void>;
}

/**
 * Readiness as a set of named blockers: ready when the set is empty, and it starts with at least one, so that a process
 * which has not begun is never ready by accident. Fails closed: whoever sets a blocker must clear it.
 */
export class Readiness implements ReadinessView {
  readonly #blockers = new Map<string, string>();
  readonly #listeners = new Set<(blockers: readonly Blocker[]) => void>();

  /** @param initial what must happen before the process can be ready. @throws RangeError when empty. */
  constructor(initial: readonly Blocker[]) {
    if (initial.length === 0) throw new RangeError('readiness needs at least one initial blocker');
    for (const { name, reason } of initial) this.#blockers.set(name, reason);
  }

  get ready(): boolean {
    return this.#blockers.size === 0;
  }

  blockers(): readonly Blocker[] {
    return [...this.#blockers].map(([name, reason]) => ({ name, reason }));
  }

  /** The same readiness, as if these blockers were none. It follows this one. */
  without(names: ReadonlySet<string>): ReadinessView {
    const blockers = () => this.blockers().filter(({ name }) => !names.has(name));
    return {
      get ready() {
        return blockers().length === 0;
      },
      blockers,
      whenReady: (signal) => this.#once(() => blockers().length === 0, signal),
    };
  }

  /** Puts a blocker in the way, or gives one that stands a new reason. */
  block(name: string, reason: string): void {
    if (this.#blockers.get(name) === reason) return;
    this.#blockers.set(name, reason);
    this.#notify();
  }

  /** Takes a blocker away; one that is not there is no error. */
  clear(name: string): void {
    if (this.#blockers.delete(name)) this.#notify();
  }

  /** Calls back after every change; one listener's error does not reach another. @returns a function that unsubscribes. */
  onChange(listener: (blockers: readonly Blocker[]) => void): () => void {
    const own = (blockers: readonly Blocker[]): void => listener(blockers);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  whenReady(signal?: AbortSignal): Promise<void> {
    return this.#once(() => this.ready, signal);
  }

  #once(holds: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      if (holds()) {
        resolve();
        return;
      }
      const giveUp = (): void => {
        unsubscribe();
        reject(signal?.reason as Error);
      };
      const unsubscribe = this.onChange(() => {
        if (!holds()) return;
        unsubscribe();
        signal?.removeEventListener('abort', giveUp);
        resolve();
      });
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  #notify(): void {
    const blockers = this.blockers();
    const errors: unknown[] = [];
    for (const listener of this.#listeners) {
      try {
        listener(blockers);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'a readiness listener failed');
  }
}
