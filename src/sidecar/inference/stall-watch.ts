import { after, type Clock } from '../../platform/clock.ts';

export interface StallWatchOptions {
  readonly clock: Clock;
  /** Silence that is too long, in ms. */
  readonly limitMs: number;
  readonly onStall: (limitMs: number) => void;
}

/** Notices silence. Saying that something came costs no more than a reading of the clock, however often it is said. */
export class StallWatch {
  readonly #options: StallWatchOptions;
  #limitMs: number;
  #last: number;
  #paused = false;
  #cancel: () => void;

  constructor(options: StallWatchOptions) {
    this.#options = options;
    this.#limitMs = options.limitMs;
    this.#last = options.clock.monotonic();
    this.#cancel = this.#arm(options.limitMs);
  }

  /** From here on silence does not count. */
  pause(): void {
    this.#paused = true;
  }

  /** From here on silence counts. @param limitMs what is too long from now on. */
  resume(limitMs: number): void {
    this.#paused = false;
    this.#last = this.#options.clock.monotonic();
    if (limitMs === this.#limitMs) return;
    this.#limitMs = limitMs;
    this.#cancel();
    this.#cancel = this.#arm(limitMs);
  }

  stop(): void {
    this.#cancel();
  }

  #arm(delayMs: number): () => void {
    return after({ delayMs, keepAlive: false, run: () => this.#look() });
  }

  #look(): void {
    const { clock, onStall } = this.#options;
    const leftMs = this.#paused ? this.#limitMs : this.#limitMs - (clock.monotonic() - this.#last);
    if (leftMs > 0) this.#cancel = this.#arm(leftMs);
    else onStall(this.#limitMs);
  }
}
