import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import type { CheckFlags } from './check/run-check.ts';

/** Adds `ait check`: what keeps an agent and its sidecar from working together, and what to do about it. */
export function registerCheckCommand(program: Command, output: CommandOutput = processOutput): void {
  program
    .command('check')
    .description('try everything that an agent needs of its sidecar, and say what to fix; changes nothing')
    .option('--admin <socket>', "the sidecar's admin socket (default: AIT_ADMIN)")
    .option('-c, --config <file>', "the sidecar's configuration, which says where that is (default sidecar.yaml)")
    .option('--pid <pid>', "look at this process's environment, the agent's, instead of our own")
    .option('--timeout <duration>', 'for each single thing that is tried', '10s')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Run it where the agent runs: in its pod, or on its machine. It calls each peer as far as its sidecar takes the
connection, and hangs up; the agents behind are not called. Without --admin and --config the sidecar is found by
AIT_ADMIN, sidecar.yaml, or as the only one below ./.ait; as the agent itself, by the variables that \`ait run\` sets:
then what only operators may ask is left out.

Examples:
  ait check --config /etc/ait/planner.yaml
  ait check --admin /var/lib/ait/sidecar-planner/admin.sock --pid 4711 --json
  ait run agent.yaml -- ait check

Every finding has a name, and a section of that name in docs/check.md.
Exit codes: 0 nothing has to be fixed, 1 something has, 2 a flag is wrong or there is nothing here to check.`,
    )
    .action(async (flags: CheckFlags) => {
      const { runCheck } = await import('./check/run-check.ts');
      await runCheck(flags, output);
    });
}
