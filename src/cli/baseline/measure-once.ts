import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import type { Measurement } from '../../domain/measurement.ts';
import type { Rejection } from '../../domain/rejection.ts';
import { systemClock } from '../../platform/clock.ts';
import { loadConfig } from '../../platform/config-source.ts';
import { createLogger } from '../../platform/logger.ts';
import { resolveMeasureConfig, type MeasureConfig } from '../../sidecar/measure/measure-config.ts';
import { measureSection } from '../../sidecar/measure/measure-schema.ts';
import { createMeasurer } from '../../sidecar/measure/measurer.ts';
import { createPromptMemory, type PromptMemory } from '../../sidecar/measure/prompt-memory.ts';

/**
 * The section `measure` of a sidecar's configuration; whatever else the file has is not looked at. Neither environment
 * nor flags count: the same file means the same everywhere.
 *
 * @throws ConfigError with all problems.
 */
export function loadMeasureConfig(file: string): MeasureConfig {
  const { measure } = loadConfig({ schema: v.looseObject({ measure: measureSection }), file, env: {} });
  return resolveMeasureConfig(measure, dirname(resolve(file)));
}

/** What could not be measured. It is an outcome of the command, with its own exit code, and no defect. */
export class CannotMeasure extends Error {
  override readonly name = 'CannotMeasure';
  readonly rejection: Rejection;

  constructor(rejection: Rejection) {
    super(`${rejection.code}: ${rejection.detail}`);
    this.rejection = rejection;
  }
}

export interface OneMeasurement {
  readonly measurement: Measurement;
  readonly notes: readonly string[];
  /** Knows the texts of the prompts just measured. */
  readonly memory: PromptMemory;
}

/** Measures exactly as the sidecar does, once, offline. @throws CannotMeasure */
export async function measureOnce(config: MeasureConfig): Promise<OneMeasurement> {
  const logger = createLogger({ name: 'ait', level: 'silent' });
  const memory = createPromptMemory({ logger });
  const measurer = createMeasurer({ config, clock: systemClock, logger, promptMemory: memory });
  const result = await measurer.measureNow();
  if (!result.ok) throw new CannotMeasure(result.rejection);
  return { measurement: result.measurement, notes: result.notes, memory };
}
