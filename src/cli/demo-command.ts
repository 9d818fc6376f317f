import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import type { DemoOptions } from './demo/demo.ts';

/** Adds `ait demo`: the mesh run through a script that checks every claim. */
export function registerDemoCommand(program: Command, output: CommandOutput = processOutput): void {
  program
    .command('demo')
    .description(
      'run a mesh through drift on disk and in memory, roll-out and attack, and check every claim (exit 0 only if all hold)',
    )
    .option('--json', 'print {ok, steps: [{name, expected, observed, ok, ms}]} at the end instead of text')
    .option('--keep', 'leave the folder with configuration, policy and logs behind')
    .addHelpText(
      'after',
      `
Real processes, sockets, certificates and tokens, in a folder of their own that is removed at the end.

Exit codes: 0 every step showed what it claims, 1 one did not.`,
    )
    .action(async (options: DemoOptions) => {
      const { demo } = await import('./demo/demo.ts');
      await demo(options, output);
    });
}
