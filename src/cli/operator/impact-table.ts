/** An impact, as the authority answers it. */
export interface ImpactAnswer {
  readonly sessions_open: number;
  readonly sessions_ending: number;
  readonly sessions_revoked: number;
  readonly sessions_draining: number;
  readonly instances_refused: number;
  readonly agents: readonly { readonly agent: string; readonly sessions: number; readonly instances: number }[];
  readonly sessions: readonly {
    readonly dialler: string;
    readonly dialler_instance: string;
    readonly acceptor: string;
    readonly acceptor_instance: string;
    readonly code: string;
    readonly revoked: boolean;
    readonly at?: string;
  }[];
}

/** Sessions shown one by one; the rest is counted. */
const SHOWN = 20;

/** Whom a change cuts, for people; nothing where it cuts nobody. */
export function impactLines(impact: ImpactAnswer): readonly string[] {
  const { sessions_open: open, sessions_ending: ending, sessions_revoked: revoked } = impact;
  const { sessions_draining: draining, instances_refused: instances, agents, sessions } = impact;
  if (ending + revoked + draining + instances === 0) return ['  it cuts nobody'];
  const counts = [
    `${ending} of ${open} sessions end`,
    ...(revoked > 0 ? [`${revoked} are revoked`] : []),
    ...(draining > 0 ? [`${draining} drain`] : []),
    ...(instances > 0 ? [`${instances} instances are not admitted again`] : []),
  ];
  const rows = sessions
    .slice(0, SHOWN)
    .map((session) => [
      end(session.dialler, session.dialler_instance),
      end(session.acceptor, session.acceptor_instance),
      session.code,
      session.at ?? 'at once',
    ]);
  const left = ending + revoked - rows.length;
  return [
    `  ${counts.join(', ')}`,
    ...table([
      ['AGENT', 'SESSIONS', 'INSTANCES'],
      ...agents.map((row) => [nameOf(row.agent), String(row.sessions), String(row.instances)]),
    ]),
    ...(rows.length > 0 ? table([['FROM', 'TO', 'REASON', 'WHEN'], ...rows]) : []),
    ...(left > 0 ? [`  and ${left} more sessions`] : []),
  ];
}

/** Rows of equal length, indented, columns aligned. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}

function end(agent: string, instance: string): string {
  return `${nameOf(agent)} ${instance.slice(0, 8)}`;
}

/** Short where it is an agent; the trust domain is the same for all but strangers. */
export function nameOf(agent: string): string {
  return agent.replace(/^spiffe:\/\/[^/]+\/agent\//, '');
}
