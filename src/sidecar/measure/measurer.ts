import { DIMENSIONS, type Dimension } from '../../domain/measurement.ts';
import { rejection } from '../../domain/rejection.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Component, StopOptions } from '../../platform/component.ts';
import { watchPaths } from '../../platform/file-watch.ts';
import type { Logger } from '../../platform/logger.ts';
import type { DimensionReader, Observation } from './dimension-reader.ts';
import { DimensionRunner } from './dimension-runner.ts';
import { HashCache } from './hash-cache.ts';
import type { MeasureConfig } from './measure-config.ts';
import type { FailureReason } from './measurement-problem.ts';
import { combineOutcomes, sameResult, type MeasurementResult } from './measurement-result.ts';
import type { PromptMemory } from './prompt-memory.ts';
import { createKnowledgeBaseReader } from './read-knowledge-base.ts';
import { createModelReader } from './read-model.ts';
import type { Reading } from './read-stable.ts';
import { createSystemPromptReader } from './read-system-prompt.ts';
import { createToolsReader } from './read-tools.ts';

export type { MeasurementResult } from './measurement-result.ts';

export interface MeasurerOptions {
  readonly config: MeasureConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for every pass that ended without a digest: feeds `measurement_failures_total{dimension,reason}`. */
  readonly onFailure?: (dimension: Dimension, reason: FailureReason) => void;
  /** Called when the system refuses a watch; until it is over the timer alone notices changes. */
  readonly onWatchRefused?: (dimension: Dimension) => void;
  /** Is shown all prompts and tools, so that a difference can be described later, and a call compared with them. */
  readonly promptMemory?: Pick<PromptMemory, 'observe' | 'observeTools'>;
}

/** The sidecar's eye: measures by event and by timer, and tells of every change as soon as it counts. */
export interface Measurer extends Component {
  /** The newest result; a refusal before the first measurement. */
  current(): MeasurementResult;
  /** Looks at every source now, also when not started. Never rejects. */
  measureNow(): Promise<MeasurementResult>;
  /** Called synchronously with every result that differs from the one before. @returns a function that unsubscribes. */
  onChange(listener: (result: MeasurementResult) => void): () => void;
}

/**
 * A dimension that is settled waits at most this long (ms) for others that are about to: one roll-out that replaces
 * prompt and tools together must not look like version 2's prompt with version 1's tools.
 */
const HOLD_MS = 40;

/** `start` resolves when the first measurement is settled, be it a failure. */
export function createMeasurer(options: MeasurerOptions): Measurer {
  return new FileMeasurer(options);
}

function readersFor(config: MeasureConfig, clock: Clock): DimensionReader[] {
  const { systemPrompt, knowledgeBase, model, tools } = config;
  // A cache each: it forgets what its owner did not ask for in a pass.
  const context = () => ({ config, hashes: new HashCache(clock) });
  return [
    systemPrompt === null ? undefined : createSystemPromptReader(systemPrompt, config),
    knowledgeBase === null ? undefined : createKnowledgeBaseReader(knowledgeBase, context()),
    model === null ? undefined : createModelReader(model, context()),
    tools === null ? undefined : createToolsReader(tools, config),
  ].filter((reader) => reader !== undefined);
}

interface Track {
  readonly reader: DimensionReader;
  readonly runner: DimensionRunner;
  outcome: Reading<Observation> | undefined;
  watched: string;
  unwatch: (() => void) | undefined;
}

class FileMeasurer implements Measurer {
  readonly name = 'measurer';
  readonly #options: MeasurerOptions;
  readonly #tracks: readonly Track[];
  readonly #listeners = new Set<(result: MeasurementResult) => void>();
  #current: MeasurementResult;
  #watching = false;
  #cancelTimer: (() => void) | undefined;
  #cancelHold: (() => void) | undefined;

  constructor(options: MeasurerOptions) {
    this.#options = options;
    const { config, clock, logger } = options;
    this.#tracks = readersFor(config, clock).map((reader) => {
      const track: Track = {
        reader,
        runner: new DimensionRunner({ reader, clock, logger, onSettled: (...args) => this.#onSettled(track, ...args) }),
        outcome: undefined,
        watched: '',
        unwatch: undefined,
      };
      return track;
    });
    const dimension = this.#tracks[0]?.reader.dimension ?? DIMENSIONS[0];
    const notYet = rejection('MEASUREMENT_UNREADABLE', 'nothing has been measured yet');
    this.#current = { ok: false, rejection: notYet, dimension, at: clock.monotonic(), serial: 0 };
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#watching = true;
    for (const track of this.#tracks) {
      track.runner.enableRetries();
      this.#watch(track);
    }
    const { promise: aborted, cancel } = abortion(signal);
    try {
      await Promise.race([this.measureNow(), aborted]);
    } finally {
      cancel();
    }
    this.#armTimer();
  }

  stop(_options: StopOptions): Promise<void> {
    this.#watching = false;
    this.#cancelTimer?.();
    this.#cancelHold?.();
    this.#listeners.clear();
    for (const track of this.#tracks) {
      track.runner.stop();
      track.unwatch?.();
      track.unwatch = undefined;
    }
    return Promise.resolve();
  }

  current(): MeasurementResult {
    return this.#current;
  }

  async measureNow(): Promise<MeasurementResult> {
    do {
      await Promise.all(this.#tracks.map(({ runner }) => runner.measure()));
    } while (this.#cancelHold !== undefined);
    this.#current = { ...this.#current, at: this.#options.clock.monotonic() };
    return this.#current;
  }

  onChange(listener: (result: MeasurementResult) => void): () => void {
    const own = (result: MeasurementResult): void => listener(result);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Watches stand before the sources are read, so that no change falls between the two. */
  #watch(track: Track): void {
    const paths = track.reader.paths();
    const wanted = paths.join('\0');
    if (!this.#watching || wanted === track.watched) return;
    const before = track.unwatch;
    const { logger } = this.#options;
    track.watched = wanted;
    track.unwatch = watchPaths({
      paths,
      logger,
      onChange: () => track.runner.onEvent(),
      onDegraded: (reason) => {
        const { dimension } = track.reader;
        this.#options.onWatchRefused?.(dimension);
        logger.warn('measurement_by_timer_only', { dimension, reason });
      },
    });
    before?.();
    if (before !== undefined) track.runner.onEvent();
  }

  #armTimer(): void {
    if (!this.#watching) return;
    const { config } = this.#options;
    this.#cancelTimer = after({
      delayMs: config.intervalMs,
      keepAlive: false,
      run: () => void this.measureNow().finally(() => this.#armTimer()),
    });
  }

  #onSettled(track: Track, outcome: Reading<Observation>, changed: boolean): void {
    const { dimension } = track.reader;
    if (!outcome.ok) this.#options.onFailure?.(dimension, outcome.reason);
    if (outcome.ok && changed) {
      const { texts = [], definitions } = outcome.value;
      for (const [digest, prompt] of texts) this.#options.promptMemory?.observe(digest, prompt);
      if (definitions !== undefined) this.#options.promptMemory?.observeTools(definitions);
    }
    track.outcome = outcome;
    this.#watch(track);
    if (changed || this.#cancelHold !== undefined) this.#publishOrHold();
  }

  #publishOrHold(): void {
    if (!this.#tracks.some(({ runner }) => runner.unsettled)) this.#publish();
    else this.#cancelHold ??= after({ delayMs: HOLD_MS, run: () => this.#publish() });
  }

  #publish(): void {
    this.#cancelHold?.();
    this.#cancelHold = undefined;
    const before = this.#current;
    const next = combineOutcomes(
      this.#tracks.map(({ reader, outcome }) => ({ dimension: reader.dimension, outcome })),
      {
        at: this.#options.clock.monotonic(),
        serial: before.serial + 1,
      },
    );
    if (next === undefined) return;
    if (before.serial > 0 && sameResult(before, next)) {
      this.#current = { ...next, serial: before.serial };
      return;
    }
    this.#current = next;
    this.#log(next);
    for (const listener of this.#listeners) {
      try {
        listener(next);
      } catch (error) {
        this.#options.logger.error('measurement_listener_failed', { error });
      }
    }
  }

  #log(result: MeasurementResult): void {
    const { logger } = this.#options;
    const { serial } = result;
    if (result.ok) {
      logger.info('measurement_changed', { serial, measurement: result.measurement, notes: result.notes });
    } else {
      const { code, detail } = result.rejection;
      logger.warn('measurement_failed', { serial, code, detail, dimension: result.dimension });
    }
  }
}

function abortion(signal: AbortSignal): { promise: Promise<never>; cancel: () => void } {
  let giveUp: () => void = () => undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(signal.reason as Error);
    signal.addEventListener('abort', giveUp, { once: true });
  });
  promise.catch(() => undefined);
  return { promise, cancel: () => signal.removeEventListener('abort', giveUp) };
}
