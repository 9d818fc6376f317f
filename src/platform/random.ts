import { randomBytes } from 'node:crypto';

/** Where randomness comes from. Nothing else in src draws any, so that a test can replay it. */
export interface RandomSource {
  /** `count` unguessable bytes; 0 to 2³¹−1. */
  bytes(count: number): Buffer;
  /** A number from 0 up to, never including, 1, of 48 random bits. */
  uniform(): number;
}

/** The operating system's randomness, fit for keys and nonces. */
export const systemRandom: RandomSource = Object.freeze({
  bytes: (count: number) => randomBytes(count),
  uniform: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
});

export interface BackoffOptions {
  /** Upper bound of the first delay, in ms, above 0. Default 1 000. */
  readonly minMs?: number;
  /** Upper bound of any delay, in ms, at least `minMs`. Default 60 000. */
  readonly maxMs?: number;
  /** Default: the operating system's. */
  readonly random?: RandomSource;
}

/**
 * How long to wait before trying again: "full jitter", a uniform draw from zero to a bound that doubles with each
 * failure. It spreads a thousand sidecars that lost the same authority better than a fixed delay plus noise.
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: RandomSource;
  #failures = 0;

  /** @throws RangeError when the bounds are not `0 < minMs <= maxMs`, finite. */
  constructor(options: BackoffOptions = {}) {
    this.#minMs = options.minMs ?? 1_000;
    this.#maxMs = options.maxMs ?? 60_000;
    this.#random = options.random ?? systemRandom;
    if (!(this.#minMs > 0 && this.#minMs <= this.#maxMs && Number.isFinite(this.#maxMs))) {
      throw new RangeError(`backoff bounds ${this.#minMs}..${this.#maxMs} ms: need 0 < minMs <= maxMs`);
    }
  }

  /** The delay before the next attempt, in ms, with a fraction; counts one failure. */
  next(): number {
    const bound = Math.min(this.#maxMs, this.#minMs * 2 ** this.#failures);
    if (bound < this.#maxMs) this.#failures += 1;
    return this.#random.uniform() * bound;
  }

  /** After a success: the next delay is drawn from the first bound again. */
  reset(): void {
    this.#failures = 0;
  }
}
