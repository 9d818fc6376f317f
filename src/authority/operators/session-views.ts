import type { ReportedInstance, ReportedSession } from '../reports/instance-reports.ts';

interface Side {
  readonly agent: string;
  readonly instance: string;
}

/** One session, as one or both of its sides report it. */
interface SessionView {
  readonly session_id: string;
  readonly dialler: Side;
  readonly acceptor: Side;
  readonly accepted_at: string;
  /** Data connections, as the side with the higher number says. */
  readonly connections: number;
  /** A session that only one side knows is about to begin or to end, or one side does not report. */
  readonly reported_by: readonly ReportedSession['role'][];
}

/** A mesh has more sessions than anybody reads. */
const MAX_VIEWS = 5_000;
const LAST_INSTANT = 8.64e15;

/**
 * Sessions of an agent, or of all. Two reports are one session only if each names the other side as the other does:
 * nobody can put words into another's mouth.
 */
export function sessionViews(
  reports: readonly ReportedInstance[],
  agent: string | undefined,
): { readonly total: number; readonly sessions: readonly SessionView[] } {
  const byKey = new Map<string, SessionView>();
  for (const report of reports) {
    for (const session of report.sessions) {
      const view = viewOf(report, session);
      if (agent !== undefined && view.dialler.agent !== agent && view.acceptor.agent !== agent) continue;
      const key = JSON.stringify([view.session_id, view.dialler, view.acceptor]);
      const other = byKey.get(key);
      byKey.set(key, other === undefined ? view : merged(other, view));
    }
  }
  const sessions = [...byKey.values()].slice(0, MAX_VIEWS);
  return { total: byKey.size, sessions };
}

function viewOf({ id: instance, agent }: ReportedInstance, session: ReportedSession): SessionView {
  const own: Side = { agent, instance };
  const other: Side = { agent: session.peer, instance: session.peerInstance };
  const dials = session.role === 'dialler';
  return {
    session_id: session.id,
    dialler: dials ? own : other,
    acceptor: dials ? other : own,
    accepted_at: new Date(Math.min(session.acceptedAt, LAST_INSTANT)).toISOString(),
    connections: session.connections,
    reported_by: [session.role],
  };
}

function merged(a: SessionView, b: SessionView): SessionView {
  return {
    ...a,
    connections: Math.max(a.connections, b.connections),
    reported_by: [...new Set([...a.reported_by, ...b.reported_by])],
  };
}
