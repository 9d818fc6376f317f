import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import { addTargetOptions, type TargetFlags } from './operator/target-options.ts';

interface CertsFlags extends TargetFlags {
  readonly json?: true;
}

interface RotateFlags extends CertsFlags {
  readonly compromised?: true;
}

interface KeyLine {
  readonly kind: string;
  readonly id: string;
  readonly phase: string;
  readonly created: string;
  readonly not_after?: string;
  readonly next_change_at: string | null;
}

const EXIT_CODES =
  'Exit codes: 0 done, 2 the command makes no sense, 4 the authority refuses, 5 the authority cannot be reached.';

/** Adds `ait certs show` and `ait certs rotate`: the keys on which the mesh hangs. */
export function registerCertsCommands(program: Command, output: CommandOutput = processOutput): void {
  const certs = program.command('certs').description("look after the authority's roots and signing keys");
  addTargetOptions(certs.command('show'))
    .description('the keys, their phases, and when they change')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  ait certs show
  ait certs show --json --admin /var/lib/ait/authority/admin.sock

${EXIT_CODES}`,
    )
    .action((flags: CertsFlags) => show(flags, output));
  addTargetOptions(certs.command('rotate'))
    .description('replace a key while the mesh goes on: publish, then use, then retire')
    .argument('<kind>', 'root (signs certificates), ait (signs tokens) or state (signs state)')
    .option('--compromised', 'drop the old key at once, without overlap; see below for what that costs')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Without --compromised no session ends. The new key is published first, and signs as soon as every sidecar that may still
judge anything has heard of it (outage_tolerance); the old one stays trusted until nothing lives that it has signed.

With --compromised what the old keys of this kind signed is believed by nobody from now on:
  ait    every session ends; sidecars get new tokens at once and calls work again, within seconds
  root   every session ends; sidecars join again with their join credential, which costs a use each. A sidecar that is
         stopped or out of reach now needs a new credential (ait agent credential), because its old one names the old root
  state  no session ends; a sidecar that is out of reach learns the new key when it is back

Examples:
  ait certs rotate ait
  ait certs rotate root --compromised

${EXIT_CODES}`,
    )
    .action((kind: string, flags: RotateFlags) => rotate(kind, flags, output));
}

async function show(flags: CertsFlags, output: CommandOutput): Promise<void> {
  const { askAuthority } = await import('./operator/authority-client.ts');
  const answer = (await askAuthority(flags, { method: 'GET', path: '/keys' })) as { keys: readonly KeyLine[] };
  print(answer, flags, output);
}

async function rotate(kind: string, flags: RotateFlags, output: CommandOutput): Promise<void> {
  const [{ askAuthority }, { MeshError }] = await Promise.all([
    import('./operator/authority-client.ts'),
    import('../domain/mesh-error.ts'),
  ]);
  if (!['root', 'ait', 'state'].includes(kind)) {
    throw new MeshError('CONFIG_INVALID', `${kind.slice(0, 40)}: not root, ait or state`);
  }
  const body = { kind, ...(flags.compromised === true && { compromised: true }) };
  const answer = await askAuthority(flags, { method: 'POST', path: '/keys/rotate', body });
  print(answer as { keys: readonly KeyLine[] }, flags, output);
}

function print(answer: { readonly keys: readonly KeyLine[] }, { json }: CertsFlags, output: CommandOutput): void {
  if (json === true) {
    output.print(JSON.stringify(answer));
    return;
  }
  const row = (...cells: readonly string[]) => cells.map((cell, at) => cell.padEnd(WIDTHS[at] ?? 0)).join('  ');
  output.print(row('KIND', 'PHASE', 'CREATED', 'NEXT CHANGE', 'ID').trimEnd());
  for (const { kind, phase, created, next_change_at: next, id } of answer.keys) {
    output.print(row(kind, phase, created, next ?? 'not by itself', id).trimEnd());
  }
}

const WIDTHS = [5, 9, 24, 24] as const;
