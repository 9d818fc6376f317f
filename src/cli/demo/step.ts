import type { Stage } from './stage.ts';

/** One claim and the way to check it. */
export interface Step {
  readonly name: string;
  /** What must be seen, in words. */
  readonly expected: string;
  /** @returns what was seen. @throws Claim, or whatever kept it from being seen */
  readonly run: (stage: Stage) => Promise<string>;
}

export interface StepResult {
  readonly name: string;
  readonly expected: string;
  readonly observed: string;
  readonly ok: boolean;
  readonly ms: number;
}

/** Something else was seen than what was claimed. */
export class ClaimFailed extends Error {
  override readonly name = 'ClaimFailed';
}

/** @throws ClaimFailed with what was seen instead */
export function claim(holds: boolean, otherwise: string): void {
  if (!holds) throw new ClaimFailed(otherwise);
}

/** Never rejects: a step that could not be run has failed. */
export async function runStep({ name, expected, run }: Step, stage: Stage): Promise<StepResult> {
  const started = stage.now();
  const result = (ok: boolean, observed: string): StepResult => ({
    name,
    expected,
    observed,
    ok,
    ms: Math.round(stage.now() - started),
  });
  try {
    return result(true, await run(stage));
  } catch (error) {
    return result(false, error instanceof Error ? error.message : String(error));
  }
}
