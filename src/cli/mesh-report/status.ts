import pc from 'picocolors';
import type { CommandOutput } from '../command-output.ts';
import { nameOf } from '../explain/explanation.ts';
import { askTarget } from '../operator/authority-client.ts';
import { resolveTarget } from '../operator/authority-target.ts';
import { peerLines, type PeerView } from './peer-lines.ts';
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
  /** What the brake holds. */
  readonly held: HeldView | null;
}

interface HeldView {
  readonly digest: string;
  readonly files: readonly string[];
}

/** What a sidecar says of itself, as far as it is shown. */
interface SidecarView {
  readonly agent: string;
  readonly instance?: string;
  readonly ready: boolean;
  readonly blockers: readonly { readonly name: string; readonly reason: string }[];
  readonly inOrder: boolean;
  readonly baseline?: string;
  readonly outage?: { readonly remainingMs: number; readonly bound: string };
  /** What our agent calls, and its instances. */
  readonly peers?: readonly PeerView[];
}

/** As many lines of one kind as leave room for the others on one screen. */
const MAX_LINES = 6;
const MAX_PEER_LINES = 40;
const LABEL_WIDTH = 12;

/** Of the mesh, by its authority; or of one instance, by its sidecar, which answers while the authority is away. */
export async function showStatus(flags: ReportFlags, output: CommandOutput): Promise<void> {
  const target = resolveTarget(flags);
  const get = (path: `/${string}`): Promise<unknown> => askTarget(target, { method: 'GET', path });
  const status = (await get('/status')) as AuthorityStatus | SidecarView;
  if ('agent' in status) {
    const view: SidecarView = { ...status, peers: (await get('/peers')) as readonly PeerView[] };
    output.print(flags.json === true ? JSON.stringify(view) : renderSidecar(view));
    return;
  }
  const [agents, instances, policy] = await Promise.all([
    get('/agents') as Promise<readonly AgentView[]>,
    get('/instances') as Promise<readonly InstanceView[]>,
    get('/policy') as Promise<{ readonly held?: HeldView | null }>,
  ]);
  const mesh: MeshStatus = { status, agents, instances, held: policy.held ?? null };
  output.print(flags.json === true ? JSON.stringify(mesh) : renderStatus(mesh));
}

/** One instance on a few lines, what is left of its life without the authority among them. */
export function renderSidecar(view: SidecarView): string {
  const { agent, instance, ready, blockers, inOrder, baseline, outage, peers = [] } = view;
  const waits = blockers.map(({ name, reason }) => printable(`${name}: ${reason}`));
  const rows: [label: string, lines: readonly string[]][] = [
    ['Agent', [printable(agent)]],
    ['Instance', [instance === undefined ? 'none yet' : printable(instance)]],
    ['Sidecar', [ready ? pc.green('ready') : pc.red('not ready'), ...atMost(waits, MAX_LINES)]],
    ['Standing', [inOrder ? `in order, baseline ${printable(baseline ?? 'none')}` : pc.red('refuses its own agent')]],
    ['Authority', outage === undefined ? [] : [outageLine(outage)]],
    ['Peers', atMost(peerLines(peers), MAX_PEER_LINES)],
  ];
  return table(rows);
}

function outageLine({ remainingMs, bound }: NonNullable<SidecarView['outage']>): string {
  const seconds = Math.max(0, Math.round(remainingMs / 1000));
  const left = `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return seconds === 0
    ? pc.red(`the ${bound} has ended: everything is cut until the authority is heard again`)
    : `without it this sidecar goes on for ${left}; then its ${bound} ends`;
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
      [held === null ? policy : `${policy}, ${pc.yellow(`${held.files.length} file(s) held; see: ait policy show`)}`],
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
  return table(rows);
}

function table(rows: readonly (readonly [label: string, lines: readonly string[]])[]): string {
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
