import { Option, type Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import { addTargetOptions } from './operator/target-options.ts';
import type { CreateFlags, ListFlags } from './operator/operator-actions.ts';

/** Adds `ait operator create`, `list` and `revoke`: who may ask the authority, and what. */
export function registerOperatorCommands(program: Command, output: CommandOutput = processOutput): void {
  const operator = program.command('operator').description('who may ask the authority things, and what');

  addTargetOptions(operator.command('create'))
    .description('make an operator: a key on this machine, a certificate from the authority, both in one file')
    .argument('<name>', 'name of the person or program, 1 to 64 characters of A-Z a-z 0-9 . _ -')
    .addOption(new Option('--role <role>', 'viewer: may look; admin: may change and disclose').makeOptionMandatory())
    .option('--expires <duration>', 'how long it is good, for example 12h or 30d (default 90d)')
    .option('--out <file>', 'where to write it, readable to you alone (default <name>.operator.json)')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  ait operator create ada --role admin --admin /var/lib/ait/authority/admin.sock --out ~/.config/ait/operator.json
  ait operator create dashboards --role viewer --expires 365d

The file is that operator: keep it like an ssh key. Exit codes: 0 made, 4 the authority refused, 5 it does not answer.`,
    )
    .action(async (name: string, flags: CreateFlags) => {
      const { createOperator } = await import('./operator/operator-actions.ts');
      await createOperator(name, flags, output);
    });

  addTargetOptions(operator.command('list'))
    .description('all operators, also those that are revoked or expired')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExamples:\n  ait operator list\n  ait operator list --json')
    .action(async (flags: ListFlags) => {
      const { listOperators } = await import('./operator/operator-actions.ts');
      await listOperators(flags, output);
    });

  addTargetOptions(operator.command('revoke'))
    .description('take every right from an operator, at once, also on connections that are open')
    .argument('<name>')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExamples:\n  ait operator revoke ada')
    .action(async (name: string, flags: ListFlags) => {
      const { revokeOperator } = await import('./operator/operator-actions.ts');
      await revokeOperator(name, flags, output);
    });
}
