import { raisedToInUse } from '../../domain/inference/in-use-assurance.ts';
import type { InUseVerdict } from '../../domain/inference/in-use.ts';
import {
  DIMENSIONS,
  sameMeasurement,
  type Dimension,
  type DigestTuple,
  type Measurement,
} from '../../domain/measurement.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { MeasurementResult } from '../measure/measurement-result.ts';

export interface InUseOverlayOptions {
  readonly clock: Clock;
  /** What is measured at rest. */
  readonly atRest: () => MeasurementResult;
  /** Called synchronously after each change of {@link InUseOverlay.current} that came from a call, or from its end. */
  readonly onChange: () => void;
  /** How long drift in use stands unless a call shows otherwise, in ms. Default 60 000. */
  readonly stickyMs?: number;
}

/** Drift in the agent's own calls, as long as it stands. */
export interface InUseDrift {
  /** Of the call that showed it. */
  readonly correlationId: string;
  readonly observed: DigestTuple;
  /** What was seen in the call: the rest stays as it is measured. */
  readonly shown: readonly Dimension[];
}

const STICKY_MS = 60_000;

/**
 * What the agent is made of, as its calls to the model show it, over what is measured at rest: in use beats at rest.
 * Everything that speaks of the measurement (our own standing, proofs, tokens) reads it from here, so that drift in use
 * is judged by what judges any drift, on both sides.
 *
 * - After a call that differs from every approved tuple, what it showed stands until a call that matches, an operator's
 *   word, or {@link InUseOverlayOptions.stickyMs}.
 * - After a call that matches, what it showed has the assurance `in_use`, until what is measured at rest changes.
 */
export class InUseOverlay {
  readonly #options: InUseOverlayOptions;
  #drift: InUseDrift | undefined;
  #cancelSticky: (() => void) | undefined;
  /** Dimensions that calls have shown since the measurement at rest was what it is now. */
  #confirmed: { readonly serial: number; readonly shown: ReadonlySet<Dimension> } | undefined;
  /** How often calls have changed the result: serial numbers go on growing. */
  #changes = 0;
  #made: { readonly of: readonly unknown[]; readonly result: MeasurementResult } | undefined;

  constructor(options: InUseOverlayOptions) {
    this.#options = options;
  }

  /** Drift that stands now. */
  get drift(): InUseDrift | undefined {
    return this.#drift;
  }

  /** The newest result, as it is to be judged: the very same object until something changes, for many ask for it. */
  current(): MeasurementResult {
    const of = [this.#options.atRest(), this.#drift, this.#confirmed, this.#changes] as const;
    if (this.#made === undefined || of.some((part, index) => part !== this.#made?.of[index])) {
      this.#made = { of, result: this.#make() };
    }
    return this.#made.result;
  }

  #make(): MeasurementResult {
    const result = this.#options.atRest();
    const serial = result.serial + this.#changes;
    if (!result.ok) return { ...result, serial };
    const { measurement } = result;
    const drift = this.#drift;
    if (drift !== undefined) {
      const inUse = { correlationId: drift.correlationId };
      return { ...result, serial, measurement: overlaid(measurement, drift), inUse };
    }
    const confirmed = this.#confirmed;
    if (confirmed?.serial !== result.serial) return { ...result, serial };
    return { ...result, serial, measurement: raisedToInUse(measurement, [...confirmed.shown]) };
  }

  /** A call that is in order. @param shown what may count as `in_use` from now on: nothing while there are other ways. */
  matched(shown: readonly Dimension[]): void {
    const result = this.#options.atRest();
    const known = this.#confirmed?.serial === result.serial ? this.#confirmed.shown : new Set<Dimension>();
    const isNews = this.#drift !== undefined || shown.some((dimension) => !known.has(dimension));
    if (!isNews) return;
    const before = this.current();
    this.#confirmed = { serial: result.serial, shown: new Set([...known, ...shown]) };
    this.#forget();
    this.#publish(before);
  }

  /** A call that differs from everything approved, of a caller who is the agent. */
  drifted(verdict: InUseVerdict & { matches: false }, { correlationId }: { readonly correlationId: string }): void {
    const before = this.current();
    const { observed } = verdict;
    const shown = DIMENSIONS.filter((dimension) => dimension !== 'knowledge_base');
    this.#drift = { correlationId, observed, shown };
    this.#confirmed = undefined;
    this.#cancelSticky?.();
    const { stickyMs = STICKY_MS, clock } = this.#options;
    this.#cancelSticky = after({ delayMs: stickyMs, clock, keepAlive: false, run: () => this.clear() });
    this.#publish(before);
  }

  /** Drift in use stands no more. @returns whether there was any. */
  clear(): boolean {
    if (this.#drift === undefined) return false;
    const before = this.current();
    this.#forget();
    this.#publish(before);
    return true;
  }

  stop(): void {
    this.#cancelSticky?.();
  }

  #forget(): void {
    this.#drift = undefined;
    this.#cancelSticky?.();
    this.#cancelSticky = undefined;
  }

  /** Nobody is troubled where a call changed nothing that anybody acts on. */
  #publish(before: MeasurementResult): void {
    const now = this.current();
    if (!before.ok || !now.ok) return;
    const sameEnd = (before.inUse === undefined) === (now.inUse === undefined);
    if (sameEnd && sameMeasurement(before.measurement, now.measurement)) return;
    this.#changes += 1;
    this.#options.onChange();
  }
}

/** The measurement at rest with what a call showed in its place. */
function overlaid(atRest: Measurement, { observed, shown }: InUseDrift): Measurement {
  const parts = shown.map((dimension) => {
    const value = observed[dimension];
    return [dimension, value === null ? null : { ...value, assurance: 'in_use' }] as const;
  });
  // Each part came from its own dimension; only the list forgets which.
  return { ...atRest, ...(Object.fromEntries(parts) as Partial<Measurement>) };
}
