import { processOutput, type CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { askAuthority } from './authority-client.ts';
import type { TargetFlags } from './target-options.ts';

interface Row {
  readonly id: string;
  readonly agent: string;
  readonly state: string;
  readonly uses: number | 'unlimited';
  readonly uses_left: number | 'unlimited';
  readonly expires_at: string;
}

const HEADINGS = ['AGENT', 'ID', 'STATE', 'USES LEFT', 'EXPIRES'] as const;

/** `ait agent credentials`: what was handed out, and what is left of it. */
export async function listCredentials(
  agent: string | undefined,
  flags: TargetFlags & { readonly json?: true },
  output: CommandOutput = processOutput,
): Promise<void> {
  const answer = await askAuthority(flags, { method: 'GET', path: '/join-credentials', query: { agent } });
  const rows = answer as readonly Row[];
  if (rows.length === 0) output.exitCode(EXIT.nothing);
  if (flags.json === true) {
    output.print(JSON.stringify(rows, null, 2));
    return;
  }
  if (rows.length === 0) {
    output.error(agent === undefined ? 'there are no join credentials' : `there are no join credentials of ${agent}`);
    return;
  }
  const cells = rows.map(({ agent: id, id: credential, state, uses, uses_left: left, expires_at: expires }) => {
    return [id, credential, state.replace('_', ' '), left === 'unlimited' ? left : `${left} of ${uses}`, expires];
  });
  for (const line of table([HEADINGS, ...cells])) output.print(line);
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
