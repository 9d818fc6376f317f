/** Where time comes from. Nothing else in src reads it, so that a test can own it. */
export interface Clock {
  /** The wall clock, in milliseconds since 1970 UTC. It can step when the machine's clock is set. */
  now(): number;
  /** Milliseconds since an arbitrary start, with a fraction; never steps or goes back. For durations and timeouts. */
  monotonic(): number;
}

/** The machine's clock. */
export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  monotonic: () => performance.now(),
});

/** The longest delay Node's timers take, in ms (24.8 days); a longer one fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface AfterOptions {
  /** How long to wait, in ms; zero or less fires as soon as possible, `Infinity` never. `NaN` is a `RangeError`. */
  readonly delayMs: number;
  readonly run: () => void;
  /** Measures the time that has passed. Default: the machine's. */
  readonly clock?: Clock;
  /** Whether waiting keeps the process alive. Default `true`. */
  readonly keepAlive?: boolean;
}

/**
 * Runs something once, after a delay of any length: Node's own timers fire at once beyond 24.8 days, this one re-arms.
 *
 * @returns a function that cancels; calling it late or twice does nothing.
 */
export function after(options: AfterOptions): () => void {
  const { delayMs, run, clock = systemClock, keepAlive = true } = options;
  if (Number.isNaN(delayMs)) throw new RangeError('delayMs is NaN');
  const dueAt = clock.monotonic() + delayMs;
  let timer: NodeJS.Timeout | undefined;
  let left = delayMs;

  const arm = (): void => {
    const step = Math.max(0, Math.min(left, LONGEST_TIMER_MS));
    timer = setTimeout(() => {
      // A step at a time, and what is left is read from the clock, so that many steps do not add up their lateness.
      left = left > LONGEST_TIMER_MS ? dueAt - clock.monotonic() : 0;
      if (left <= 0) run();
      else arm();
    }, step);
    if (!keepAlive) timer.unref();
  };
  arm();
  return () => clearTimeout(timer);
}

/**
 * A moment to look out for, by two clocks: reached when so much time has passed, or when the wall clock says so. A wall
 * clock that is set forward, or a machine that slept, makes it come early; one that is set back does not put it off.
 */
export class Due {
  readonly #clock: Clock;
  readonly #wall: number;
  readonly #monotonic: number;

  /** @param delayMs from now, in ms, 0 or more. */
  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#wall = clock.now() + delayMs;
    this.#monotonic = clock.monotonic() + delayMs;
  }

  reached(): boolean {
    return this.#clock.monotonic() >= this.#monotonic || this.#clock.now() >= this.#wall;
  }
}
