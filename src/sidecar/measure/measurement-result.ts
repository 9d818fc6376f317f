import { sameMeasurement, type Dimension, type Measurement } from '../../domain/measurement.ts';
import type { Rejection } from '../../domain/rejection.ts';
import type { Observation } from './dimension-reader.ts';
import { problemRejection } from './measurement-problem.ts';
import type { Reading } from './read-stable.ts';

export interface ResultTimes {
  /** Monotonic ms: when the result was settled or, without having changed, last confirmed by a look at every source. */
  readonly at: number;
  /** Grows by one with every result that differs from the one before; 0 before the first. */
  readonly serial: number;
}

/** What the agent is made of now, or why that cannot be said. There is nothing in between. */
export type MeasurementResult = ResultTimes &
  (
    | {
        readonly ok: true;
        readonly measurement: Measurement;
        /** For the operator: for example which entries differ from the knowledge base's manifest. */
        readonly notes: readonly string[];
      }
    | { readonly ok: false; readonly rejection: Rejection; readonly dimension: Dimension }
  );

export interface DimensionOutcome {
  readonly dimension: Dimension;
  /** `undefined`: not looked at yet. */
  readonly outcome: Reading<Observation> | undefined;
}

/**
 * One result of all dimensions the agent has; the first that failed speaks for all. `undefined` until each was looked at.
 */
export function combineOutcomes(
  outcomes: readonly DimensionOutcome[],
  times: ResultTimes,
): MeasurementResult | undefined {
  const measurement: Record<Dimension, unknown> = {
    system_prompt: null,
    knowledge_base: null,
    model: null,
    tools: null,
  };
  const notes: string[] = [];
  let failed: MeasurementResult | undefined;
  for (const { dimension, outcome } of outcomes) {
    if (outcome === undefined) return undefined;
    if (outcome.ok) {
      measurement[dimension] = outcome.value.value;
      notes.push(...(outcome.value.notes ?? []).map((note) => `${dimension}: ${note}`));
    } else {
      const rejection = problemRejection(dimension, outcome.reason, outcome.detail);
      failed ??= { ok: false, rejection, dimension, ...times };
    }
  }
  // Each reader was typed by its own dimension; only the loop forgets which.
  return failed ?? { ok: true, measurement: measurement as unknown as Measurement, notes, ...times };
}

/** Whether nothing changed that anybody acts on: digests, assurance, or what failed and why. */
export function sameResult(a: MeasurementResult, b: MeasurementResult): boolean {
  if (a.ok && b.ok) return sameMeasurement(a.measurement, b.measurement);
  if (a.ok || b.ok) return false;
  return a.rejection.code === b.rejection.code && a.rejection.detail === b.rejection.detail;
}
