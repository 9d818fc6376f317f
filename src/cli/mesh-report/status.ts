import pc from 'picocolors';
import type { CommandOutput } from '../command-output.ts';
import { nameOf } from '../explain/explanation.ts';
import { askTarget, AuthorityProblem } from '../operator/authority-client.ts';
import { resolveTarget, type AuthorityTarget } from '../operator/authority-target.ts';
import { atMost, printable } from './plain-text.ts';
import type { AgentView, InstanceView, ReportFlags } from './report-flags.ts';

interface AuthorityStatus {
  readonly trust_domain: string;
  readonly time: string;
  readonly ready: boolean;
  readonly blockers: readonly { readonly name: string; readonly reason: string }[];
  readonly listen: string;
  readonly operators_listen: string;
  readonly root_not_after: string;
  readonly policy_problems: number;
}

interface MeshStatus {
  readonly status: AuthorityStatus;
  readonly agents: readonly AgentView[];
  readonly instances: readonly InstanceView[];
  /** What a newer authority holds back; `undefined` where it has no such notion. */
  readonly held: readonly unknown[] | undefined;
}

/** As many lines of one kind as leave room for the others on one screen. */
const MAX_LINES = 6;
const LABEL_WIDTH = 12;

export async function showStatus(flags: ReportFlags, output: CommandOutput): Promise<void> {
  const target = resolveTarget(flags);
  const get = (path: `/${string}`): Promise<unknown> => askTarget(target, { method: 'GET', path });
  const [status, agents, instances, held] = await Promise.all([
    get('/status') as Promise<AuthorityStatus>,
    get('/agents') as Promise<readonly AgentView[]>,
    get('/instances') as Promise<readonly InstanceView[]>,
    askHeld(target),
  ]);
  const mesh: MeshStatus = { status, agents, instances, held };
  if (flags.json === true) output.print(JSON.stringify({ ...mesh, held: held ?? null }));
  else output.print(renderStatus(mesh));
}

/** Not every authority holds changes back. */
async function askHeld(target: AuthorityTarget): Promise<readonly unknown[] | undefined> {
  try {
    const policy = (await askTarget(target, { method: 'GET', path: '/policy' })) as { readonly held?: unknown } | null;
    return Array.isArray(policy?.held) ? policy.held : undefined;
  } catch (error) {
    if (error instanceof AuthorityProblem && error.status === 404) return undefined;
    throw error;
  }
}

/** The mesh on one screen. */
export function renderStatus({ status, agents, instances, held }: MeshStatus): string {
  const observed = agents.filter(
    ({ observe_until: until }) => until !== undefined && Date.parse(until) > Date.parse(status.time),
  );
  const drifted = agents.filter((agent) => agent.drifted > 0);
  const waiting = instances.filter(({ state }) => state === 'not_ready');
  const policy = status.policy_problems === 0 ? 'no problems' : pc.red(`${status.policy_problems} problem(s)`);
  const rows: [label: string, lines: readonly string[]][] = [
    ['Mesh', [printable(status.trust_domain)]],
    ['Authority', [authorityLine(status), `its root ends ${status.root_not_after}`]],
    [
      'Policy',
      [held === undefined || held.length === 0 ? policy : `${policy}, ${pc.yellow(`${held.length} change(s) held`)}`],
    ],
    ['Agents', [countLine(agents.map(({ lifecycle }) => lifecycle))]],
    ['Instances', [countLine(instances.map(({ state }) => state.replace('_', ' ')))]],
    ['Not ready', atMost(waiting.map(waitingLine), MAX_LINES)],
    [
      'Drifted',
      atMost(
        drifted.map((agent) => pc.red(driftLine(agent))),
        MAX_LINES,
      ),
    ],
    ['Observed', atMost(observed.map(observedLine), MAX_LINES)],
  ];
  return rows
    .filter(([, lines]) => lines.length > 0)
    .map(([label, lines]) =>
      lines.map((line, index) => (index === 0 ? label : '').padEnd(LABEL_WIDTH) + line).join('\n'),
    )
    .join('\n');
}

function authorityLine({ ready, blockers, listen, operators_listen: operators }: AuthorityStatus): string {
  const state = ready ? pc.green('ready') : pc.red(`not ready: ${blockers.map(({ name }) => name).join(', ')}`);
  return `${state}, sidecars at ${listen}, operators at ${operators}`;
}

function countLine(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const parts = [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([word, count]) => `${count} ${printable(word)}`);
  return words.length === 0 ? 'none' : `${words.length}: ${parts.join(', ')}`;
}

function waitingLine({ agent, id, blockers = [] }: InstanceView): string {
  const reasons = blockers.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  return printable(`${nameOf(agent)} ${id.slice(0, 8)}  ${reasons}`).slice(0, 200);
}

function driftLine({ id, drifted, instances }: AgentView): string {
  return printable(`${nameOf(id)}  ${drifted} of ${instances} instance(s); \`ait explain ${nameOf(id)}\` says how`);
}

function observedLine({ id, observe_until: until }: AgentView): string {
  return printable(`${nameOf(id)}  until ${until ?? ''}: drift and missing grants are only reported`);
}
