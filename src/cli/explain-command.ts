import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import type { ExplainOptions } from './explain/explain.ts';
import { addRemoteOptions } from './operator/target-options.ts';

/** Adds `ait explain`: why the last connection of an agent was refused or dropped. */
export function registerExplainCommand(program: Command, output: CommandOutput = processOutput): void {
  addRemoteOptions(program.command('explain'))
    .description('why the last connection of an agent was refused or dropped, and what to do')
    .argument('[agent]', 'a name or a SPIFFE ID; may be left out with --id')
    .option(
      '--admin <socket>',
      "a sidecar's admin socket; may be repeated (default: AIT_ADMIN, else all below ./.ait)",
      collect,
    )
    .option('--id <correlation-id>', 'the one decision with this id, as a log line or the peer names it')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  ait explain planner
  ait explain planner --admin /var/run/ait/admin.sock --id x7Kq0v2mB1
  ait explain --id x7Kq0v2mB1 --operator ~/.config/ait/operator.json

Sidecars in reach are asked first: they know most. Where there are none, or they know nothing of it, the authority is
asked: it has both sides' word, also when their processes are gone.

Exit codes: 0 a refusal or end was found, 2 nobody could be asked, 3 nothing was refused, 4 the authority refuses, 5 it
does not answer.`,
    )
    .action(async (agent: string | undefined, options: ExplainOptions) => {
      const { explain } = await import('./explain/explain.ts');
      await explain(agent, options, output);
    });
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
