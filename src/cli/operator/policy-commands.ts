import type { Command } from 'commander';
import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import { processOutput, type CommandOutput } from '../command-output.ts';
import { addChangeOptions, CHANGE_EXIT_CODES, type ChangeFlags } from './change-flags.ts';
import { addTargetOptions, type TargetFlags } from './target-options.ts';

type ShowFlags = TargetFlags & { readonly json?: true };
type CallFlags = ChangeFlags & { readonly call?: readonly string[] };

const CALL_HELP = 'a path, or methods and a path; * within a segment, ** for several (may be repeated)';

/**
 * Adds the verbs that change the policy of a running authority: to `baseline` and `agent`, which have others already,
 * and `grant`, `revoke`, `policy`, `notices`, `undo`. What they need is imported when they run.
 */
export function registerPolicyCommands(program: Command, output: CommandOutput = processOutput): void {
  const group = (name: string, description: string): Command =>
    program.commands.find((command) => command.name() === name) ?? program.command(name).description(description);
  /** One verb that sends one change. */
  const verb = (parent: Command, usage: string, more: { description: string; examples: readonly string[] }): Command =>
    withHelp(addChangeOptions(parent.command(usage)).description(more.description), more.examples);

  const baseline = group('baseline', 'the digests an agent is approved with');
  verb(baseline, 'approve <file>', {
    description: 'put a baseline in force beside those that are, as `ait baseline build` wrote it',
    examples: ['ait baseline approve planner-2.yaml', 'ait baseline approve planner-2.yaml --dry-run'],
  })
    .option('--force', 'although the digests look like those of another agent')
    .action(async (file: string, flags: ChangeFlags & { readonly force?: true }) => {
      const { readBaselineText } = await import('./baseline-text.ts');
      const force = flags.force === true;
      const change = { action: 'approve_baseline', text: await readBaselineText(file), ...(force && { force }) };
      await send(change, ['baseline', 'approve', file, ...(force ? ['--force'] : [])], flags);
    });
  for (const [name, state, description] of [
    ['retire', 'retired', 'admit nobody by a baseline any more; open sessions go on until they end by themselves'],
    ['revoke', 'revoked', 'cut everybody who is admitted by a baseline, now and for good'],
  ] as const) {
    verb(baseline, `${name} <id>`, { description, examples: [`ait baseline ${name} planner-1`] }).action(
      (id: string, flags: ChangeFlags) =>
        send({ action: 'set_baseline_state', id, state }, ['baseline', name, id], flags),
    );
  }

  const grant = group('grant', 'who may connect to whom, and make which calls');
  const onePattern = "'POST /search.v1.Search/*'";
  verb(grant, 'add <from> <to>', {
    description: 'let one agent connect to another, for every call, or for these besides what it may call already',
    examples: ['ait grant add planner researcher', `ait grant add planner researcher --call ${onePattern}`],
  })
    .option('--call <pattern>', CALL_HELP, collect)
    .action(async (from: string, to: string, flags: CallFlags) => {
      const calls = flags.call && (await import('./call-flags.ts')).readCallFlags(flags.call);
      const change = { action: 'add_grant', from, to, ...(calls !== undefined && { calls }) };
      await send(change, ['grant', 'add', from, to, ...typedCalls(calls)], flags);
    });
  verb(grant, 'limit <from> <to>', {
    description: 'of the calls that it may make, let it make these only; calls that it may no longer make are cut',
    examples: [`ait grant limit planner researcher --call ${onePattern} --call 'GET,HEAD /docs/**'`],
  })
    .requiredOption('--call <pattern>', CALL_HELP, collect)
    .action(async (from: string, to: string, flags: CallFlags) => {
      const calls = (await import('./call-flags.ts')).readCallFlags(flags.call ?? []);
      const change = { action: 'limit_grant', from, to, calls };
      await send(change, ['grant', 'limit', from, to, ...typedCalls(calls)], flags);
    });
  verb(grant, 'withdraw <from> <to>', {
    description: 'let it connect no longer; open sessions are cut',
    examples: ['ait grant withdraw planner researcher'],
  }).action((from: string, to: string, flags: ChangeFlags) =>
    send({ action: 'withdraw_grant', from, to }, ['grant', 'withdraw', from, to], flags),
  );

  const agent = group('agent', 'look after agents');
  verb(agent, 'register <agent>', {
    description: 'make an agent known, with the person who answers for it',
    examples: ["ait agent register planner --sponsor u-17 --sponsor-name 'Ada Lovelace'"],
  })
    .requiredOption('--sponsor <id>', 'id of the accountable person, without spaces')
    .option('--sponsor-name <name>', 'for people')
    .option('--sponsor-email <address>', 'for people')
    .action((name: string, flags: ChangeFlags & { sponsor: string; sponsorName?: string; sponsorEmail?: string }) => {
      const sponsor = {
        id: flags.sponsor,
        ...(flags.sponsorName !== undefined && { name: flags.sponsorName }),
        ...(flags.sponsorEmail !== undefined && { email: flags.sponsorEmail }),
      };
      const typed = ['agent', 'register', name, '--sponsor', flags.sponsor];
      return send({ action: 'register_agent', agent: name, sponsor }, typed, flags);
    });
  for (const [name, lifecycle, description] of [
    ['suspend', 'suspended', 'cut an agent off until it is resumed'],
    ['resume', 'active', 'admit a suspended or retired agent again'],
    ['retire', 'retired', 'cut an agent off, and let no instance of it join'],
  ] as const) {
    verb(agent, `${name} <agent>`, { description, examples: [`ait agent ${name} planner`] }).action(
      (id: string, flags: ChangeFlags) =>
        send({ action: 'set_lifecycle', agent: id, lifecycle }, ['agent', name, id], flags),
    );
  }
  verb(agent, 'observe <agent>', {
    description: 'only report drift and missing grants of an agent, until a time',
    examples: ['ait agent observe planner --until 2026-02-01T12:00:00Z', 'ait agent observe planner --off'],
  })
    .option('--until <time>', 'RFC 3339')
    .option('--off', 'enforce from now on')
    .option('--reason <text>', 'for the record')
    .action(async (id: string, flags: ChangeFlags & { until?: string; off?: true; reason?: string }) => {
      const { observeEnd } = await import('./observe-end.ts');
      const { reason } = flags;
      const change = {
        action: 'observe',
        agent: id,
        until: observeEnd(flags),
        ...(reason !== undefined && { reason }),
      };
      const typed = ['agent', 'observe', id, ...(flags.until === undefined ? ['--off'] : ['--until', flags.until])];
      await send(change, typed, flags);
    });

  const revoke = group('revoke', 'cut one instance or certificate off, now and for good');
  for (const [parent, usage, kind] of [
    [agent, 'revoke <agent>', 'agent'],
    [revoke, 'instance <id>', 'instance'],
    [revoke, 'certificate <thumbprint>', 'certificate'],
  ] as const) {
    const typed = kind === 'agent' ? ['agent', 'revoke'] : ['revoke', kind];
    verb(parent, usage, {
      description: `cut one ${kind} off, now and for good`,
      examples: [`ait ${typed.join(' ')} ${kind === 'agent' ? 'planner' : 'ID'} --reason 'key was copied'`],
    })
      .option('--reason <text>', 'for the record, and for the log of those who are cut')
      .action((subject: string, flags: ChangeFlags & { reason?: string }) => {
        const { reason } = flags;
        const change = { action: 'revoke', kind, subject, ...(reason !== undefined && { reason }) };
        return send(change, [...typed, subject], flags);
      });
  }

  const policy = group('policy', 'the policy in force, and what the brake holds');
  shown(policy.command('show'), 'what is in force, held, wrong, and the last revisions', 'ait policy show').action(
    async (flags: ShowFlags) => (await import('./show-policy.ts')).showPolicy(flags, output),
  );
  verb(policy, 'accept [digest]', {
    description: 'let a change of files through that the brake holds',
    examples: ['ait policy accept 3f2a9c0d11e45b76 --accept-impact=14'],
  }).action(async (digest: string | undefined, flags: ChangeFlags) =>
    (await import('./show-policy.ts')).acceptHeld(digest, flags, output),
  );

  shown(program.command('notices'), 'what will end by itself, and what happens then', 'ait notices').action(
    async (flags: ShowFlags) => (await import('./show-policy.ts')).showNotices(flags, output),
  );

  verb(program, 'undo', {
    description: 'put the policy back to what it was before the last change; what was revoked stays revoked',
    examples: ['ait undo --dry-run', 'ait undo --to 41 --accept-impact=3'],
  })
    .option('--to <revision>', 'back to this revision (default: the one before the last)')
    .action(async (flags: ChangeFlags & { to?: string }) => {
      const { undo } = await import('./undo.ts');
      await undo(flags, output);
    });

  async function send(change: JsonObject, typed: readonly string[], flags: ChangeFlags): Promise<void> {
    const { changePolicy } = await import('./change-policy.ts');
    await changePolicy({ path: '/policy/changes', body: { changes: [change] }, typed }, flags, output);
  }
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function typedCalls(calls: readonly string[] = []): readonly string[] {
  return calls.flatMap((call) => ['--call', call]);
}

function withHelp(command: Command, examples: readonly string[]): Command {
  const lines = examples.map((line) => `  ${line}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}\n\n${CHANGE_EXIT_CODES}`);
}

function shown(command: Command, description: string, example: string): Command {
  return addTargetOptions(command)
    .description(description)
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `\nExample:\n  ${example}\n\nExit codes: 0 shown, 3 nothing to tell, 5 the authority does not answer.`,
    );
}
