import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import type { ClearDriftFlags } from './sidecar/clear-drift.ts';
import type { DriftFlags } from './mesh-report/drift-show.ts';
import type { ReportFlags } from './mesh-report/report-flags.ts';
import { addTargetOptions } from './operator/target-options.ts';

/** Adds the verbs that read what sidecars report: `status`, `agents`, `sessions`, `drift show`; and `drift clear`. */
export function registerMeshCommands(program: Command, output: CommandOutput = processOutput): void {
  addTargetOptions(program.command('status'))
    .description('the mesh at a glance; or one instance, by the admin socket of its sidecar')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  ait status
  ait status --operator ~/.config/ait/operator.json
  ait status --admin /var/lib/ait/authority/admin.sock --json
  ait status --admin /var/lib/ait/sidecar-planner/admin.sock   also while the authority is away: how long it can go on`,
    )
    .action(async (flags: ReportFlags) => {
      const { showStatus } = await import('./mesh-report/status.ts');
      await showStatus(flags, output);
    });

  addTargetOptions(program.command('agents'))
    .description('every registered agent: lifecycle, sponsor, baselines, and how its instances are doing')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExamples:\n  ait agents\n  ait agents --json')
    .action(async (flags: ReportFlags) => {
      const { showAgents } = await import('./mesh-report/agents.ts');
      await showAgents(flags, output);
    });

  addTargetOptions(program.command('sessions'))
    .description('who is connected to whom now, as the sidecars report it')
    .argument('[agent]', 'only sessions of this agent: a name or a SPIFFE ID')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  ait sessions\n  ait sessions planner\n\nExit codes: 0 there are sessions, 3 there are none.',
    )
    .action(async (agent: string | undefined, flags: ReportFlags) => {
      const { showSessions } = await import('./mesh-report/sessions.ts');
      await showSessions(agent, flags, output);
    });

  const drift =
    program.commands.find((command) => command.name() === 'drift') ??
    program.command('drift').description('what an agent is made of now, against what was approved');
  addTargetOptions(drift.command('show'))
    .description(
      "how an agent's prompts differ from the approved ones; discloses text, takes the role admin, is logged",
    )
    .argument('<agent>', 'a name or a SPIFFE ID')
    .option('--instance <id>', 'which one, where the agent has several')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  ait drift show planner
  ait drift show planner --instance 4f0c9a66d1c84c0c9d6a2f3b5e7a8190

Your name, the agent and the time are logged by the authority and by the sidecar.
Exit codes: 0 a difference is shown, 3 no prompt differs, 4 refused or not to be had, 5 the authority does not answer.`,
    )
    .action(async (agent: string, flags: DriftFlags) => {
      const { showDrift } = await import('./mesh-report/drift-show.ts');
      await showDrift(agent, flags, output);
    });

  drift
    .command('clear')
    .description("have a sidecar forget the drift that its agent's own call to the model showed")
    .option('--admin <socket>', 'the admin socket of the sidecar')
    .option('-c, --config <file>', "the sidecar's configuration, which says where that is (default sidecar.yaml)")
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Drift in use ends by itself 60 s after the last call that showed it, and with a call that matches what is approved.
This ends it now; drift of the files it does not touch.

Example:
  ait drift clear --admin /var/lib/ait/sidecar-planner/admin.sock

Exit codes: 0 it was told; 2 a flag or the configuration is wrong; 4 it refused; 5 nobody answered.`,
    )
    .action(async (flags: ClearDriftFlags) => {
      const { clearDrift } = await import('./sidecar/clear-drift.ts');
      await clearDrift(flags, output);
    });
}
