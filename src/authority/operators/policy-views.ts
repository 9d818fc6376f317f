import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Notice } from '../policy/notices.ts';
import type { Impact } from '../policy/policy-impact.ts';
import type { HeldChange } from '../policy/policy-ledger.ts';
import type { Revision } from '../policy/policy-revision.ts';

/** Rows of one list in an answer; the totals stand beside it. */
const MAX_ROWS = 100;

export function impactView(impact: Impact): object {
  const { sessions, instances, ending, draining, total } = impact;
  const agents = new Map<SpiffeId, { sessions: number; instances: number }>();
  const rowOf = (agent: SpiffeId) => {
    const row = agents.get(agent) ?? { sessions: 0, instances: 0 };
    agents.set(agent, row);
    return row;
  };
  for (const { dialler, acceptor } of sessions)
    for (const agent of new Set([dialler, acceptor])) rowOf(agent).sessions += 1;
  for (const { agent } of instances) rowOf(agent).instances += 1;
  return {
    sessions_open: total,
    sessions_ending: ending,
    sessions_revoked: sessions.length - ending,
    sessions_draining: draining,
    instances_refused: instances.length,
    agents_affected: agents.size,
    agents: [...agents].slice(0, MAX_ROWS).map(([agent, row]) => ({ agent, ...row })),
    sessions: sessions.slice(0, MAX_ROWS).map((session) => ({
      dialler: session.dialler,
      dialler_instance: session.diallerInstance,
      acceptor: session.acceptor,
      acceptor_instance: session.acceptorInstance,
      code: session.code,
      revoked: session.revoked,
      ...(session.at !== undefined && { at: iso(session.at) }),
    })),
    instances: instances.slice(0, MAX_ROWS).map(({ id, agent, code, revoked }) => ({ id, agent, code, revoked })),
  };
}

export function heldView({ digest, files, impact, summary }: HeldChange): object {
  return { digest, files, summary, impact: impactView(impact) };
}

export function revisionView({ revision, at, author, source, summary }: Revision): object {
  return { revision, at: iso(at), author, source, summary };
}

export function noticeView({ kind, id, agent, endsAt, consequence }: Notice): object {
  return { kind, id, agent, ends_at: iso(endsAt), consequence };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
