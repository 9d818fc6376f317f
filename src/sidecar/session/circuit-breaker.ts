import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { Backoff, type RandomSource } from '../../platform/random.ts';
import { isIllHealth } from './ill-health.ts';

export interface CircuitBreakerOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Consecutive failures of all instances after which it opens, at least 1. */
  readonly threshold: () => number;
  /** Told when it opens, with the last failure, and when it closes. Default: nobody is. */
  readonly onChange?: (change: { readonly isOpen: boolean; readonly cause: Rejection | undefined }) => void;
}

/**
 * `closed`: all is well. `resting`: an exchange was refused a moment ago; its cause is the answer for a while.
 * `open`: so many failures in a row that nothing is tried. `half_open`: the rest is over, one connection may try.
 */
export type CircuitState = 'closed' | 'resting' | 'open' | 'half_open';

/** After a failed exchange the rest grows to a minute; where a session is live, to this: a connection costs little, ms. */
const MAX_REST_WITH_SESSION_MS = 5000;
/** One that tries and is never heard of again does not keep the circuit open for longer than this, ms. */
const TRIAL_MS = 15_000;

/**
 * Keeps us from asking a peer again and again that has just failed, whichever of its instances was asked. The first
 * rests after a refused exchange answer with its cause, as it came; after too many failures in a row the answer is
 * `CIRCUIT_OPEN`. Refusals that say nothing about health never open it: their cause stays the answer.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  readonly #backoff: Backoff;
  #failures = 0;
  #cause: Rejection | undefined;
  /** Our monotonic clock. */
  #retryAt = 0;
  #trialUntil = 0;
  #wasOpen = false;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ random: options.random });
  }

  get state(): CircuitState {
    const isResting = this.restsForMs > 0;
    if (this.#isOpen) return isResting ? 'open' : 'half_open';
    return isResting ? 'resting' : 'closed';
  }

  get restsForMs(): number {
    return Math.max(0, this.#retryAt - this.#options.clock.monotonic());
  }

  /** The last failure; `undefined` after a success. */
  get cause(): Rejection | undefined {
    return this.#cause;
  }

  /** Why nothing may be tried now; `undefined`: go on, and tell how it went. Of an open circuit one may, at a time. */
  refusal(): Rejection | undefined {
    const cause = this.#cause;
    if (cause === undefined) return undefined;
    const { restsForMs } = this;
    if (!this.#isOpen) return restsForMs > 0 ? cause : undefined;
    if (restsForMs > 0) return this.#refuse(cause, `is tried again in ${Math.ceil(restsForMs)} ms`);
    const now = this.#options.clock.monotonic();
    if (now < this.#trialUntil) return this.#refuse(cause, 'is being tried by another connection');
    this.#trialUntil = now + TRIAL_MS;
    return undefined;
  }

  /** Every instance that could be asked has failed: at the exchange, or, where there is a session, after it. */
  failed(cause: Rejection, { atExchange }: { readonly atExchange: boolean }): void {
    this.#trialUntil = 0;
    // Those that were under way together are one failure.
    if (this.restsForMs > 0) return;
    this.#cause = cause;
    this.#failures = isIllHealth(cause) ? this.#failures + 1 : 0;
    if (atExchange || this.#isOpen) {
      const restMs = Math.min(this.#backoff.next(), atExchange ? Infinity : MAX_REST_WITH_SESSION_MS);
      this.#retryAt = this.#options.clock.monotonic() + restMs;
    }
    this.#tell();
  }

  /** Somebody answered the exchange; whether connections succeed is not known yet. */
  exchanged(): void {
    if (this.#isOpen) return;
    this.#retryAt = 0;
    this.#backoff.reset();
  }

  /** What was tried ended without a word about the peer's health. */
  settled(): void {
    this.#trialUntil = 0;
  }

  /** What has rested may be tried at once; how often it failed is not forgotten. */
  wake(): void {
    this.#retryAt = 0;
  }

  /** All is well, or something has changed: whatever was is of the past. */
  close(): void {
    this.#failures = 0;
    this.#cause = undefined;
    this.#retryAt = 0;
    this.#trialUntil = 0;
    this.#backoff.reset();
    this.#tell();
  }

  get #isOpen(): boolean {
    return this.#failures >= this.#options.threshold();
  }

  #refuse({ code, detail }: Rejection, what: string): Rejection {
    return rejection('CIRCUIT_OPEN', `${this.#failures} failures in a row; the peer ${what}. Last: ${code}: ${detail}`);
  }

  #tell(): void {
    const isOpen = this.#isOpen;
    if (isOpen === this.#wasOpen) return;
    this.#wasOpen = isOpen;
    this.#options.onChange?.({ isOpen, cause: this.#cause });
  }
}
