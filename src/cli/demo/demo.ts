import pc from 'picocolors';
import { environment } from '../../platform/environment.ts';
import type { CommandOutput } from '../command-output.ts';
import { untilSignal } from '../until-signal.ts';
import { attackSteps } from './attack-steps.ts';
import { modelSteps } from './model-steps.ts';
import { rollOutSteps } from './roll-out-steps.ts';
import { Stage } from './stage.ts';
import { runStep, type Step, type StepResult } from './step.ts';
import { storySteps } from './story-steps.ts';

export interface DemoOptions {
  readonly json?: boolean;
  readonly keep?: boolean;
}

/** Runs every step in order and tells how it went. Whatever happens, no process and no file stays, but for `--keep`. */
export async function demo({ json = false, keep = false }: DemoOptions, output: CommandOutput): Promise<void> {
  const stage = new Stage(environment);
  const results: StepResult[] = [];
  const tell = (line: string): void => (json ? undefined : output.print(line));
  tell(
    pc.bold(
      'A mesh of two agents, their sidecars, an inference service and an authority: real processes, sockets and certificates.\n',
    ),
  );
  const steps = [opening, ...storySteps(), ...modelSteps(), ...rollOutSteps(), ...attackSteps()];
  let interrupted = false;
  const play = async (): Promise<void> => {
    for (const step of steps) {
      const result = await runStep(step, stage);
      // What fails because everything is being stopped has shown nothing.
      if (interrupted) return;
      results.push(result);
      tell(narrate(result));
      if (step === opening && !result.ok) return;
    }
  };
  const stopped = untilSignal();
  try {
    await Promise.race([
      play(),
      stopped.then(() => {
        interrupted = true;
      }),
    ]);
  } finally {
    await stage.close({ keep });
  }
  const ok = !interrupted && results.length === steps.length && results.every((result) => result.ok);
  output.exitCode(ok ? 0 : 1);
  if (json) output.print(JSON.stringify({ ok, steps: results }));
  else output.print(conclusion(results, { ok, interrupted, of: steps.length }));
  if (keep) output.error(`configuration, policy and logs are in ${stage.root}`);
}

const opening: Step = {
  name: 'start: authority, inference service, two sidecars, two agents',
  expected: 'both sidecars join, measure their agents, find them approved, and accept the evidence of the service',
  run: async (stage) => {
    const started = stage.now();
    await stage.open();
    return `up after ${Math.round(stage.now() - started)} ms`;
  },
};

function narrate({ name, expected, observed, ok, ms }: StepResult): string {
  const mark = ok ? pc.green('✓') : pc.red('✗');
  const time = pc.dim(`${ms} ms`);
  const seen = ok ? pc.dim(observed) : `${pc.dim(`expected  ${expected}`)}\n  ${pc.red(`observed  ${observed}`)}`;
  return `${mark} ${ok ? name : pc.bold(name)}  ${time}\n  ${seen}\n`;
}

function conclusion(
  results: readonly StepResult[],
  { ok, interrupted, of }: { ok: boolean; interrupted: boolean; of: number },
): string {
  if (ok)
    return (
      pc.bold(pc.green(`All ${of} steps showed what they claim.`)) + `\nNow try it yourself: ${pc.cyan('ait dev')}`
    );
  if (interrupted) return pc.yellow('Interrupted; everything was stopped.');
  const failed = of - results.filter((result) => result.ok).length;
  return (
    pc.bold(pc.red(`${failed} of ${of} steps did not show what they claim.`)) +
    ' `ait demo --keep` leaves the logs behind.'
  );
}
