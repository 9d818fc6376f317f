import type { CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { nameOf } from '../explain/explanation.ts';
import { askAuthority } from '../operator/authority-client.ts';
import { table } from './plain-text.ts';
import type { ReportFlags } from './report-flags.ts';

interface Side {
  readonly agent: string;
  readonly instance: string;
}

interface SessionView {
  readonly session_id: string;
  readonly dialler: Side;
  readonly acceptor: Side;
  readonly accepted_at: string;
  readonly connections: number;
  readonly reported_by: readonly string[];
}

export async function showSessions(
  agent: string | undefined,
  flags: ReportFlags,
  output: CommandOutput,
): Promise<void> {
  const answer = await askAuthority(flags, { method: 'GET', path: '/sessions', query: { agent } });
  const { sessions, total } = answer as { readonly sessions: readonly SessionView[]; readonly total: number };
  output.exitCode(sessions.length === 0 ? EXIT.nothing : EXIT.ok);
  if (flags.json === true) output.print(JSON.stringify(answer));
  else if (sessions.length === 0) output.print(`No session${agent === undefined ? '' : ` of ${agent}`} is reported.`);
  else {
    output.print(table(['CALLER', 'CALLED', 'CONNECTIONS', 'SINCE', 'SESSION', ''], sessions.map(rowOf)));
    if (total > sessions.length) output.print(`… and ${total - sessions.length} more; name an agent to see its own`);
  }
}

function rowOf({ dialler, acceptor, connections, accepted_at: since, session_id: id, reported_by: by }: SessionView) {
  return [
    sideText(dialler),
    sideText(acceptor),
    String(connections),
    since,
    id,
    by.length > 1 ? '' : `only the ${by[0] === 'dialler' ? 'caller' : 'called side'} reports it`,
  ];
}

function sideText({ agent, instance }: Side): string {
  return `${nameOf(agent)} ${instance.slice(0, 8)}`;
}
