import { canonicalizeJson } from '../../domain/canonical/jcs.ts';
import { MAX_MEASUREMENT_BYTES, measurementToJson } from '../../domain/measurement-json.ts';
import { DIMENSIONS, sameMeasurement, type Dimension, type Measurement } from '../../domain/measurement.ts';
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
        /** Only while the agent's own calls show something else than its files: which call it was. */
        readonly inUse?: { readonly correlationId: string };
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
  if (failed !== undefined) return failed;
  // Each reader was typed by its own dimension; only the loop forgets which.
  const whole = measurement as unknown as Measurement;
  const bytes = Buffer.byteLength(canonicalizeJson(measurementToJson(whole)));
  if (bytes > MAX_MEASUREMENT_BYTES) {
    const dimension = largest(whole);
    const detail = `the digests take ${bytes} bytes, most of them of ${dimension}; a token holds ${MAX_MEASUREMENT_BYTES}`;
    return { ok: false, rejection: problemRejection(dimension, 'too_large', detail), dimension, ...times };
  }
  return { ok: true, measurement: whole, notes, ...times };
}

function largest(measurement: Measurement): Dimension {
  const sizes = DIMENSIONS.map((dimension) => ({ dimension, size: JSON.stringify(measurement[dimension]).length }));
  return sizes.toSorted((a, b) => b.size - a.size)[0]?.dimension ?? 'tools';
}

/** Whether nothing changed that anybody acts on: digests, assurance, or what failed and why. */
export function sameResult(a: MeasurementResult, b: MeasurementResult): boolean {
  if (a.ok && b.ok) return sameMeasurement(a.measurement, b.measurement);
  if (a.ok || b.ok) return false;
  return a.rejection.code === b.rejection.code && a.rejection.detail === b.rejection.detail;
}
