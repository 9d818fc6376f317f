import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import type { CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { askAuthority, AuthorityProblem } from './authority-client.ts';
import type { ChangeFlags } from './change-flags.ts';
import { impactLines, type ImpactAnswer } from './impact-table.ts';

export interface PolicyRequest {
  readonly path: '/policy/changes' | '/policy/undo' | '/policy/accept';
  readonly body: JsonObject;
  /** What was typed, without the flags that follow from an answer: `ait grant withdraw a b`. */
  readonly typed: readonly string[];
}

interface ChangeAnswer {
  readonly applied: boolean;
  readonly revision: number;
  readonly summary: string;
  readonly notes: readonly string[];
  readonly impact: ImpactAnswer;
}

/** Asks for one change of policy, and says what it came to; a refusal says whom it spared and what would accept it. */
export async function changePolicy(request: PolicyRequest, flags: ChangeFlags, output: CommandOutput): Promise<void> {
  const accept = wholeNumber(flags.acceptImpact, '--accept-impact');
  const base = wholeNumber(flags.baseRevision, '--base-revision');
  const body = {
    ...request.body,
    ...(accept !== undefined && { accept_impact: accept }),
    ...(base !== undefined && { base_revision: base }),
    ...(flags.dryRun === true && { dry_run: true }),
  };
  try {
    const answer = (await askAuthority(flags, { method: 'POST', path: request.path, body })) as ChangeAnswer;
    if (flags.json === true) output.print(JSON.stringify(answer));
    else for (const line of describe(answer, flags.dryRun === true)) output.print(line);
  } catch (error) {
    if (!(error instanceof AuthorityProblem)) throw error;
    if (flags.json === true) output.print(JSON.stringify(error.problem));
    else for (const line of describeRefusal(error, request, flags)) output.error(line);
    output.exitCode(EXIT.refused);
  }
}

function describe({ applied, revision, summary, notes, impact }: ChangeAnswer, dryRun: boolean): string[] {
  const head = dryRun
    ? `nothing was changed; it would be: ${summary}`
    : applied
      ? `${summary} (revision ${revision})`
      : `nothing to change (revision ${revision})`;
  return [head, ...notes.map((note) => `  note: ${note}`), ...(applied || dryRun ? impactLines(impact) : [])];
}

function describeRefusal(error: AuthorityProblem, { typed }: PolicyRequest, flags: ChangeFlags): string[] {
  const { code, impact } = error.problem as { code?: string; impact?: ImpactAnswer };
  const lines = [`ait: ${error.message}`];
  if (impact !== undefined) lines.push(...impactLines(impact));
  if (code === 'IMPACT_TOO_LARGE' && impact !== undefined) {
    const target = flags.admin === undefined ? [] : ['--admin', flags.admin];
    const again = ['ait', ...typed, ...target, `--accept-impact=${impact.sessions_ending}`].map(quoted);
    lines.push(`  to accept that: ${again.join(' ')}`);
  }
  if (code === 'POLICY_MOVED_ON') lines.push('  look at what is in force now: ait policy show');
  return lines;
}

/** @throws MeshError `CONFIG_INVALID` */
function wholeNumber(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new MeshError('CONFIG_INVALID', `${flag} ${text}: not a whole number`);
}

/** As a shell takes it. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
