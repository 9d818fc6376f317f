import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import type { ExplainOptions } from './explain/explain.ts';

/** Adds `ait explain`: why the last connection of an agent was refused or dropped. */
export function registerExplainCommand(program: Command, output: CommandOutput = processOutput): void {
  program
    .command('explain <agent>')
    .description('why the last connection of an agent was refused or dropped, and what to do')
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

Exit codes: 0 a refusal or end was found, 2 no sidecar could be asked, 3 nothing was refused.`,
    )
    .action(async (agent: string, options: ExplainOptions) => {
      const { explain } = await import('./explain/explain.ts');
      await explain(agent, options, output);
    });
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
