import pc from 'picocolors';
import { MeshError } from '../../domain/mesh-error.ts';
import type { CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { nameOf } from '../explain/explanation.ts';
import { askAuthority, AuthorityProblem } from '../operator/authority-client.ts';
import { atMost, printable } from './plain-text.ts';
import type { ReportFlags } from './report-flags.ts';

const MAX_LISTED = 30;

export interface DriftFlags extends ReportFlags {
  readonly instance?: string;
}

interface PromptView {
  readonly name: string;
  readonly approved: string;
  readonly measured: string;
  readonly unified_diff: string;
  readonly first_difference: number;
  readonly whitespace_only: boolean;
}

export async function showDrift(agent: string, flags: DriftFlags, output: CommandOutput): Promise<void> {
  const answer = await askAuthority(flags, {
    method: 'POST',
    path: '/drift/show',
    body: { agent, ...(flags.instance !== undefined && { instance: flags.instance }) },
  }).catch((error: unknown) => {
    throw severalInstances(error) ?? error;
  });
  const view = answer as { readonly agent: string; readonly instance: string; readonly prompts: readonly PromptView[] };
  output.exitCode(view.prompts.length === 0 ? EXIT.nothing : EXIT.ok);
  if (flags.json === true) output.print(JSON.stringify(answer));
  else if (view.prompts.length === 0) output.print(`No prompt of ${nameOf(view.agent)} differs from the approved one.`);
  else output.print(view.prompts.map(renderPrompt).join('\n\n'));
}

/** The refusal of a question that several instances could answer, with their names. */
function severalInstances(error: unknown): MeshError | undefined {
  if (!(error instanceof AuthorityProblem) || error.problem['code'] !== 'SEVERAL_INSTANCES') return undefined;
  const instances = error.problem['instances'] as unknown as readonly { id: string; rejection_code: string }[];
  const lines = instances.map(({ id, rejection_code: code }) =>
    printable(`  ${id}  ${code === '' ? 'in order' : code}`),
  );
  return new MeshError('ADMIN_REFUSED', [error.message, ...atMost(lines, MAX_LISTED)].join('\n'), {
    hint: 'name one of them with --instance <id>',
  });
}

/** One prompt. Whatever stands in it is shown, and nothing of it acts on the terminal. */
function renderPrompt({ name, approved, measured, ...difference }: PromptView): string {
  const { unified_diff: diff, first_difference: offset, whitespace_only: whitespaceOnly } = difference;
  const head = [
    pc.bold(`prompt ${printable(name)}`),
    `approved  ${approved === '' ? '(nothing)' : approved}`,
    `measured  ${measured === '' ? '(nothing)' : measured}`,
  ];
  if (diff === '') {
    return [
      ...head,
      'The sidecar does not know the approved text, or there is none: it can name the digests only.',
    ].join('\n');
  }
  const what = whitespaceOnly ? 'only whitespace differs' : 'the text differs';
  return [...head, `${what}, from byte ${offset} on`, '', ...diff.trimEnd().split('\n').map(diffLine)].join('\n');
}

function diffLine(line: string): string {
  const text = printable(line);
  if (line.startsWith('+')) return pc.green(text);
  if (line.startsWith('-')) return pc.red(text);
  return line.startsWith('@@') ? pc.cyan(text) : text;
}
