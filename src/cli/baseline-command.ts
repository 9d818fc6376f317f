import { CommanderError, type Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import type { BuildOptions, DiffOptions, VerifyOptions } from './baseline/actions.ts';

const CONFIG = 'a sidecar configuration, or a file with just its section `measure`';

/**
 * Adds `ait baseline build|verify|diff`: prompts as code, offline, for a CI job. What the actions need is loaded when
 * they run, so that other commands do not pay for it.
 */
export function registerBaselineCommands(program: Command, output: CommandOutput = processOutput): void {
  const baseline = program
    .command('baseline')
    .description(
      'the digests an agent is approved with: build, verify and compare them offline; approve, retire, revoke',
    )
    .exitOverride(asUsageError);

  baseline
    .command('build')
    .description("measure an agent's sources as its sidecar would, and write the baseline that approves them")
    .requiredOption('--agent <name>', 'the agent: a name, or a whole SPIFFE ID')
    .requiredOption('--config <file>', CONFIG)
    .requiredOption('--approved-by <who>', 'who approves, for the record')
    .requiredOption(
      '--approved-at <time>',
      'when, in RFC 3339; given and not taken from the clock, so that builds repeat',
    )
    .option('--id <id>', "the baseline's id (default: <agent>-<12 hex digits of the digests>)")
    .option(
      '--minimum-assurance <[dimension=]assurance>',
      'demand that sidecars measure by these means or better; may be repeated (default: declared)',
      collect,
    )
    .option('--output <file>', 'write there instead of to standard output')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  ait baseline build --agent planner --config sidecar.yaml --approved-by ada@acme.example \\
      --approved-at "$(git log -1 --format=%cI)" --output policy/planner-baseline.yaml
  ait baseline build --agent planner --config sidecar.yaml --approved-by ada@acme.example \\
      --approved-at 2026-01-31T12:00:00Z --minimum-assurance at_rest --minimum-assurance model=declared

Exit codes: 0 built, 2 usage or configuration error, 3 something cannot be measured.`,
    )
    .action(async (options: BuildOptions) => {
      const { buildBaseline } = await import('./baseline/actions.ts');
      await buildBaseline(options, output);
    });

  baseline
    .command('verify <baseline.yaml>')
    .description('measure, and compare with an approved baseline')
    .requiredOption('--config <file>', CONFIG)
    .option('--id <id>', 'which baseline, where the file has several')
    .option(
      '--approved-text <[name=]file>',
      'the approved text of a prompt, to be told where it differs; repeat it for further prompts and files',
      collect,
    )
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  ait baseline verify policy/planner-baseline.yaml --config sidecar.yaml
  ait baseline verify policy/planner-baseline.yaml --config sidecar.yaml --approved-text main=approved/prompt.md

Exit codes: 0 equal, 1 drift, 2 usage or configuration error, 3 something cannot be measured.`,
    )
    .action(async (file: string, options: VerifyOptions) => {
      const { verifyBaseline } = await import('./baseline/actions.ts');
      await verifyBaseline(file, options, output);
    });

  baseline
    .command('diff <a.yaml> <b.yaml>')
    .description('compare what two baselines approve')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Example:
  ait baseline diff policy/planner-v1.yaml policy/planner-v2.yaml

Ids, states and dates are not compared: two baselines are the same when they approve the same agent, digests and assurance.

Exit codes: 0 same, 1 different, 2 error.`,
    )
    .action(async (left: string, right: string, options: DiffOptions) => {
      const { diffBaselines } = await import('./baseline/actions.ts');
      await diffBaselines(left, right, { ...options, output });
    });
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** Commander ends usage errors with 1, which here means drift. Asking for help is no error. */
function asUsageError(error: CommanderError): never {
  throw new CommanderError(error.exitCode === 0 ? 0 : 2, error.code, error.message);
}
