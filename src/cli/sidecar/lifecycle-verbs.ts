import type { Command } from 'commander';
import type { CommandOutput } from '../command-output.ts';
import type { QuitFlags } from './quit.ts';
import type { WaitFlags } from './wait.ts';

/** Adds `ait sidecar wait` and `ait sidecar quit`. */
export function registerLifecycleVerbs(sidecar: Command, output: CommandOutput): void {
  addTarget(sidecar.command('wait'))
    .description('wait until a sidecar is ready; it need not even have been started')
    .option('--mesh', 'do not wait for the agent to listen: ready as far as the mesh is concerned')
    .option('--timeout <duration>', 'how long at most, for example 90s', '60s')
    .option('--json', 'print the outcome as JSON')
    .addHelpText(
      'after',
      `
Exit codes: 0 ready; 1 not ready in time, and what it waits for is printed; 2 a flag or the configuration is wrong;
5 nobody answered.

Examples:
  ait sidecar wait --config planner/sidecar.yaml && exec ./planner    hold the agent until its sidecar is ready
  ait sidecar wait --mesh --timeout 2m --admin /run/ait/admin.sock    before an agent that is called has started`,
    )
    .action(async (flags: WaitFlags) => {
      const { waitUntilReady } = await import('./wait.ts');
      await waitUntilReady(flags, output);
    });

  addTarget(sidecar.command('quit'))
    .description('have a sidecar finish what is open and end, with exit code 0')
    .option('--json', 'print the outcome as JSON')
    .addHelpText(
      'after',
      `
For a job: when its work is done nothing else ends the sidecar. It drains as on SIGTERM (timing.drain).
Exit codes: 0 it was told; 2 a flag or the configuration is wrong; 4 it refused; 5 nobody answered.

Example:
  ./work; status=$?; ait sidecar quit --config sidecar.yaml; exit $status`,
    )
    .action(async (flags: QuitFlags) => {
      const { quit } = await import('./quit.ts');
      await quit(flags, output);
    });
}

function addTarget(command: Command): Command {
  return command
    .option('--admin <socket>', 'the admin socket of the sidecar')
    .option('-c, --config <file>', "the sidecar's configuration, which says where that is (default sidecar.yaml)");
}
