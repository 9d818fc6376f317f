import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import * as v from 'valibot';
import { systemClock } from '../../../../src/platform/clock.ts';
import { createLogger } from '../../../../src/platform/logger.ts';
import type { Dimension } from '../../../../src/domain/measurement.ts';
import { resolveMeasureConfig, type MeasureConfig } from '../../../../src/sidecar/measure/measure-config.ts';
import { measureSection } from '../../../../src/sidecar/measure/measure-schema.ts';
import type { FailureReason } from '../../../../src/sidecar/measure/measurement-problem.ts';
import { createMeasurer, type MeasurementResult, type Measurer } from '../../../../src/sidecar/measure/measurer.ts';
import { createPromptMemory, type PromptMemory } from '../../../../src/sidecar/measure/prompt-memory.ts';

export const silent = createLogger({ name: 'test', level: 'silent' });

/** A folder for one test, gone afterwards. */
export function workspace(t: TestContext): {
  root: string;
  file: (name: string, content: string | Uint8Array) => string;
} {
  const root = mkdtempSync(join(tmpdir(), 'ait-measure-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return {
    root,
    file: (name, content) => {
      const path = join(root, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
      return path;
    },
  };
}

const NOTHING = {
  system_prompt: 'not_applicable',
  knowledge_base: 'not_applicable',
  model: 'not_applicable',
  tools: 'not_applicable',
};

/** A configuration as a file would give it; dimensions that are not named are not applicable. */
export function configOf(root: string, section: Record<string, unknown>): MeasureConfig {
  return resolveMeasureConfig(v.parse(measureSection, { ...NOTHING, ...section }), root);
}

export interface Rig {
  readonly measurer: Measurer;
  readonly results: MeasurementResult[];
  readonly failures: [Dimension, FailureReason][];
  readonly memory: PromptMemory;
  /** The first result, seen or still to come, that fits; fails with what was seen instead. */
  readonly until: (fits: (result: MeasurementResult) => boolean, deadlineMs?: number) => Promise<MeasurementResult>;
}

/** A started measurer on the section, stopped after the test. */
export async function startMeasurer(t: TestContext, root: string, section: Record<string, unknown>): Promise<Rig> {
  const results: MeasurementResult[] = [];
  const failures: [Dimension, FailureReason][] = [];
  const memory = createPromptMemory({ logger: silent });
  const measurer = createMeasurer({
    config: configOf(root, section),
    clock: systemClock,
    logger: silent,
    onFailure: (dimension, reason) => failures.push([dimension, reason]),
    promptMemory: memory,
  });
  measurer.onChange((result) => results.push(result));
  await measurer.start(new AbortController().signal);
  t.after(() => measurer.stop({ deadlineMs: 100 }));

  const until: Rig['until'] = (fits, deadlineMs = 3_000) =>
    new Promise((resolve, reject) => {
      const seen = results.findLast(fits);
      if (seen !== undefined && seen === results.at(-1)) {
        resolve(seen);
        return;
      }
      const timer = setTimeout(() => {
        unsubscribe();
        reject(new Error(`no such result in ${deadlineMs} ms; seen: ${JSON.stringify(results.map(brief), null, 1)}`));
      }, deadlineMs);
      const unsubscribe = measurer.onChange((result) => {
        if (!fits(result)) return;
        clearTimeout(timer);
        unsubscribe();
        resolve(result);
      });
    });
  return { measurer, results, failures, memory, until };
}

export function brief(result: MeasurementResult): unknown {
  return result.ok ? result.measurement : `${result.rejection.code} ${result.rejection.detail}`;
}

/** The digest of the only prompt, `main`; fails when there is none. */
export function mainHash(result: MeasurementResult): string {
  const hash = result.ok ? result.measurement.system_prompt?.prompts['main']?.hash : undefined;
  if (hash === undefined) throw new Error(`no prompt was measured: ${JSON.stringify(brief(result))}`);
  return hash;
}
