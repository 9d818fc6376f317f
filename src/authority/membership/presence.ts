import { after, type Clock } from '../../platform/clock.ts';

export interface PresenceOptions {
  readonly clock: Clock;
  /** How long an instance without an open Watch still counts, in ms. Default 30 000: a reconnect is not a death. */
  readonly graceMs?: number;
}

const GRACE_MS = 30_000;

/**
 * Which instances are there: those with an open Watch, and those that had one a moment ago. Peers are sent to no others,
 * so that an instance that was killed does not go on being dialled until its certificate ends.
 */
export class Presence {
  readonly #clock: Clock;
  readonly #graceMs: number;
  /** After a start nobody has had the time to come back. */
  readonly #startedAt: number;
  readonly #watching = new Map<string, number>();
  readonly #leftAt = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #timers = new Set<() => void>();

  constructor({ clock, graceMs = GRACE_MS }: PresenceOptions) {
    this.#clock = clock;
    this.#graceMs = graceMs;
    this.#startedAt = clock.monotonic();
    this.#tellLater();
  }

  /** Calls back when an instance may no longer be, or be again, among those who are there. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Notes an open Watch. @returns a function that notes its end. */
  watching(instance: string): () => void {
    const wasThere = this.isThere(instance);
    this.#watching.set(instance, (this.#watching.get(instance) ?? 0) + 1);
    this.#leftAt.delete(instance);
    if (!wasThere) this.#tell();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      const left = (this.#watching.get(instance) ?? 1) - 1;
      if (left > 0) {
        this.#watching.set(instance, left);
        return;
      }
      this.#watching.delete(instance);
      this.#leftAt.set(instance, this.#clock.monotonic());
      this.#tellLater();
    };
  }

  isThere(instance: string): boolean {
    if (this.#watching.has(instance)) return true;
    const since = this.#leftAt.get(instance) ?? this.#startedAt;
    return this.#clock.monotonic() - since < this.#graceMs;
  }

  stop(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #tellLater(): void {
    const cancel = after({
      // Node's timers may fire a fraction of a millisecond early, when the grace is not over yet.
      delayMs: this.#graceMs + 1,
      clock: this.#clock,
      keepAlive: false,
      run: () => {
        this.#timers.delete(cancel);
        this.#forgetGone();
        this.#tell();
      },
    });
    this.#timers.add(cancel);
  }

  /** What left before the grace began is gone either way; remembering it would grow for ever. */
  #forgetGone(): void {
    const now = this.#clock.monotonic();
    if (now - this.#startedAt < this.#graceMs) return;
    for (const [instance, at] of this.#leftAt) if (now - at >= this.#graceMs) this.#leftAt.delete(instance);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
