import type { Clock } from './clock.ts';

export interface RateLimitOptions {
  /** How many may come at once. */
  readonly burst: number;
  /** How many more a second. */
  readonly perSecond: number;
  readonly clock: Clock;
}

/** A token bucket: a burst, then a steady rate. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  #left: number;
  #at: number;

  constructor(options: RateLimitOptions) {
    this.#options = options;
    this.#left = options.burst;
    this.#at = options.clock.monotonic();
  }

  /** @returns whether one more may pass now; if so, it is counted. */
  take(): boolean {
    const { burst, perSecond, clock } = this.#options;
    const now = clock.monotonic();
    this.#left = Math.min(burst, this.#left + ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
