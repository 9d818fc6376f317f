import type { Dimension } from '../../domain/measurement.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { DimensionReader, Observation } from './dimension-reader.ts';
import { MeasurementProblem } from './measurement-problem.ts';
import { pause, readStable, type Reading } from './read-stable.ts';

export interface DimensionRunnerOptions {
  readonly reader: DimensionReader;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after each pass, with what counts now. */
  readonly onSettled: (outcome: Reading<Observation>, changed: boolean) => void;
}

/** An unstable source is looked at again after this time (ms), and not for each of its events. */
const UNSTABLE_RETRY_MS = 20;
/** A pass longer than this (ms) makes its successor wait, so that a busy folder cannot take the whole processor. */
const LONG_PASS_MS = 5;
const LONGEST_REST_MS = 1_000;

/** Measures one dimension, one pass at a time: what happens during a pass leads to one more, not to two at once. */
export class DimensionRunner {
  readonly #options: DimensionRunnerOptions;
  #running: Promise<void> | undefined;
  /** Something may have changed since the last look began. */
  #again = false;
  #settledKey: string | undefined;
  #unsettled = false;
  #retries = false;
  #cancelRetry: (() => void) | undefined;

  constructor(options: DimensionRunnerOptions) {
    this.#options = options;
  }

  get dimension(): Dimension {
    return this.#options.reader.dimension;
  }

  /** Whether a difference has been seen that has not been settled yet. */
  get unsettled(): boolean {
    return this.#unsettled;
  }

  /** From now on an unstable source is looked at again by itself. */
  enableRetries(): void {
    this.#retries = true;
  }

  stop(): void {
    this.#retries = false;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  /** After an event of the file system: looks at once, in this turn of the event loop, unless a pass is under way. */
  onEvent(): void {
    if (this.#cancelRetry === undefined) void this.measure();
  }

  /** Resolves when a look that began after this call has settled. Never rejects. */
  measure(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#runUntilQuiet().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #runUntilQuiet(): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      const startedAt = clock.monotonic();
      await this.#pass();
      if (!this.#again) return;
      const tookMs = clock.monotonic() - startedAt;
      if (tookMs > LONG_PASS_MS) await pause(Math.min(tookMs, LONGEST_REST_MS));
    }
  }

  async #pass(): Promise<void> {
    const { clock, onSettled } = this.#options;
    const settledKey = this.#settledKey;
    const outcome = await readStable({
      read: () => this.#look(),
      settledKey,
      clock,
      onUnsettled: () => {
        this.#unsettled = true;
      },
    });
    this.#unsettled = false;
    this.#settledKey = outcome.key;
    const unstable = !outcome.ok && outcome.reason === 'unstable';
    onSettled(
      unstable ? { ...outcome, detail: `${this.#sources()} ${outcome.detail}` } : outcome,
      outcome.key !== settledKey,
    );
    if (unstable) this.#retryLater();
  }

  #look(): Reading<Observation> | Promise<Reading<Observation>> {
    this.#again = false;
    try {
      const observed = this.#options.reader.read();
      return observed instanceof Promise
        ? observed.then(succeeded, (error: unknown) => this.#failed(error))
        : succeeded(observed);
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** Fails closed also on what no reader foresaw. */
  #failed(error: unknown): Reading<Observation> {
    if (error instanceof MeasurementProblem) {
      return { ok: false, key: `!${error.reason} ${error.message}`, reason: error.reason, detail: error.message };
    }
    this.#options.logger.error('measurement_defect', { dimension: this.dimension, error });
    const detail = `${this.#sources()} cannot be measured, for a reason that is in the log`;
    return { ok: false, key: `!defect`, reason: 'unreadable', detail };
  }

  #sources(): string {
    const paths = this.#options.reader.paths();
    return paths.length > 3 ? `${paths.slice(0, 3).join(', ')} or another file` : paths.join(' or ');
  }

  #retryLater(): void {
    if (!this.#retries) return;
    this.#cancelRetry = after({
      delayMs: UNSTABLE_RETRY_MS,
      keepAlive: false,
      run: () => {
        this.#cancelRetry = undefined;
        void this.measure();
      },
    });
  }
}

function succeeded(observed: Observation): Reading<Observation> {
  return { ok: true, key: JSON.stringify([observed.value, observed.notes ?? []]), value: observed };
}
