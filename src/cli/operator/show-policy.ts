import { EXIT } from '../exit-codes.ts';
import type { CommandOutput } from '../command-output.ts';
import { askAuthority } from './authority-client.ts';
import type { ChangeFlags } from './change-flags.ts';
import { changePolicy } from './change-policy.ts';
import { impactLines, nameOf, table, type ImpactAnswer } from './impact-table.ts';
import type { TargetFlags } from './target-options.ts';

interface PolicyAnswer {
  readonly revision: number;
  readonly impact_limit: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly held?: {
    readonly digest: string;
    readonly files: readonly string[];
    readonly summary: string;
    readonly impact: ImpactAnswer;
  };
  readonly problems: readonly {
    readonly severity: string;
    readonly file: string;
    readonly line: number;
    readonly field: string;
    readonly message: string;
  }[];
  readonly revisions: readonly {
    readonly revision: number;
    readonly at: string;
    readonly author: string;
    readonly source: string;
    readonly summary: string;
  }[];
}

type ShowFlags = TargetFlags & { readonly json?: true };

/** What is in force, what the brake holds, what is wrong with the files, and the last revisions. */
export async function showPolicy(flags: ShowFlags, output: CommandOutput): Promise<void> {
  const policy = (await askAuthority(flags, { method: 'GET', path: '/policy' })) as PolicyAnswer;
  if (flags.json === true) {
    output.print(JSON.stringify(policy));
    return;
  }
  const { revision, counts, impact_limit: limit, held, problems, revisions } = policy;
  const said = Object.entries(counts).map(([kind, count]) => `${count} ${kind}(s)`);
  output.print(`revision ${revision}: ${said.join(', ')}; impact limit ${limit} %`);
  if (held !== undefined) {
    output.print(`HELD by the brake: ${held.summary}; files: ${held.files.join(', ')}`);
    for (const line of impactLines(held.impact)) output.print(line);
    output.print(`  to accept that: ait policy accept ${held.digest} --accept-impact=${held.impact.sessions_ending}`);
  }
  for (const { severity, file, line, field, message } of problems) {
    output.print(`${severity}: ${file}${line > 0 ? `:${line}` : ''}: ${field === '' ? '' : `${field} `}${message}`);
  }
  const rows = revisions.map((each) => [String(each.revision), each.at, authorOf(each), each.summary]);
  for (const line of table([['REVISION', 'TIME', 'BY', 'WHAT'], ...rows])) output.print(line);
}

/** Accepts what is held; without a digest, whatever that is at the moment, which is printed first. */
export async function acceptHeld(digest: string | undefined, flags: ChangeFlags, output: CommandOutput): Promise<void> {
  const known = digest ?? (await heldNow(flags, output));
  if (known === undefined) {
    output.error('the brake holds nothing');
    output.exitCode(EXIT.nothing);
    return;
  }
  await changePolicy(
    { path: '/policy/accept', body: { digest: known }, typed: ['policy', 'accept', known] },
    flags,
    output,
  );
}

/** What will end by itself, the next end first. */
export async function showNotices(flags: ShowFlags, output: CommandOutput): Promise<void> {
  const answer = (await askAuthority(flags, { method: 'GET', path: '/notices' })) as {
    notices: readonly { kind: string; id: string; agent?: string; ends_at: string; consequence: string }[];
  };
  if (flags.json === true) output.print(JSON.stringify(answer));
  else {
    for (const { kind, id, ends_at: at, consequence } of answer.notices) {
      output.print(`${at}  ${kind} ${nameOf(id)}\n  ${consequence}`);
    }
    if (answer.notices.length === 0) output.print('nothing ends by itself');
  }
  if (answer.notices.length === 0) output.exitCode(EXIT.nothing);
}

async function heldNow(flags: ChangeFlags, output: CommandOutput): Promise<string | undefined> {
  const { held } = (await askAuthority(flags, { method: 'GET', path: '/policy' })) as PolicyAnswer;
  if (held !== undefined && flags.json !== true) {
    output.error(`held: ${held.summary}; files: ${held.files.join(', ')}; digest ${held.digest}`);
  }
  return held?.digest;
}

function authorOf({ author, source }: PolicyAnswer['revisions'][number]): string {
  return source === 'files' ? 'files' : author;
}
