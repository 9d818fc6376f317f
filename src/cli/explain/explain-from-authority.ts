import pc from 'picocolors';
import type { Dimension } from '../../domain/measurement.ts';
import { DIMENSIONS } from '../../domain/measurement.ts';
import { REJECTION_CODES } from '../../domain/rejection.ts';
import type { CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { printable, table } from '../mesh-report/plain-text.ts';
import { askTarget } from '../operator/authority-client.ts';
import type { AuthorityTarget } from '../operator/authority-target.ts';
import { findDecision, type AskedSidecar, type DecisionRecord } from './decision-record.ts';
import { nameOf, renderExplanation } from './explanation.ts';

/** What is to be explained, by whom or under which id. */
export interface Explained {
  /** A name or a whole SPIFFE ID; `undefined`: any, and there is an id. */
  readonly agent: string | undefined;
  readonly id: string | undefined;
}

/** A decision as the authority keeps it: the word of one sidecar. */
interface ReportedDecision {
  readonly at: number;
  readonly agent: string;
  readonly instance: string;
  readonly correlation_id: string;
  readonly peer: string;
  readonly outcome: string;
  readonly code: string;
  readonly detail: string;
  readonly role: string;
  readonly session_id: string;
  readonly self: boolean;
  readonly connections: number;
  readonly remote_address: string;
  readonly nearest_baseline: string;
  readonly differences: readonly {
    readonly dimension: string;
    readonly item: string;
    readonly expected: string;
    readonly observed: string;
  }[];
  readonly clocks?: { readonly ours: number; readonly theirs: number; readonly what: string };
}

interface Context {
  readonly wanted: Explained;
  readonly options: { readonly json?: boolean };
  readonly output: CommandOutput;
}

/** As many decisions as are looked through for the one that explains. */
const LIMIT = '500';

/**
 * Tells what the authority was told: the decision that explains most, and every side's word on it.
 *
 * @returns false, having said nothing, when it knows nothing of it.
 */
export async function explainFromAuthority(
  target: AuthorityTarget,
  { wanted, options, output }: Context,
): Promise<boolean> {
  const { agent, id } = wanted;
  const ask = async (query: Readonly<Record<string, string | undefined>>) =>
    (await askTarget(target, { method: 'GET', path: '/decisions', query })) as readonly ReportedDecision[];
  const decisions = await ask({ agent, id, limit: LIMIT });
  const found = findDecision(sidecarsIn(decisions), { agent, ...(id !== undefined && { id }) });
  const correlationId = id ?? found?.decision.correlationId ?? '';
  const sides = id !== undefined || correlationId === '' ? decisions : await ask({ id: correlationId, limit: LIMIT });
  const both = correlationId === '' ? [] : sides.toSorted((a, b) => a.at - b.at);
  if (found === undefined && both.length === 0) return false;
  output.exitCode(EXIT.ok);
  if (options.json === true) {
    const decidedBy = found && { agent: found.sidecar.status.agent, instance: found.sidecar.status.instance ?? null };
    const decision = found?.decision ?? null;
    output.print(JSON.stringify({ found: found !== undefined, decidedBy: decidedBy ?? null, decision, sides: both }));
    return true;
  }
  const parts = [
    ...(found === undefined ? [] : [renderExplanation(found, pc)]),
    ...(both.length === 0 ? [] : [renderSides(both)]),
  ];
  output.print(parts.join('\n\n'));
  return true;
}

/** Every side's word on one correlation id, side by side. */
function renderSides(decisions: readonly ReportedDecision[]): string {
  const line = ({ at, agent, instance, role, outcome, code, peer, detail }: ReportedDecision) => [
    new Date(at).toISOString(),
    `${nameOf(agent)} ${instance.slice(0, 8)}`,
    role === 'dialler' ? 'calling' : 'called',
    code === '' ? outcome : `${outcome}: ${code}`,
    peer === '' ? '-' : nameOf(peer),
    detail.length > 100 ? `${detail.slice(0, 100)}…` : detail,
  ];
  const head = ['WHEN', 'WHO SAYS SO', 'SIDE', 'WHAT', 'OF WHOM', 'DETAIL'];
  return `${pc.bold('What each side reported')}\n${table(head, decisions.map(line))}`;
}

/** Decisions by whose they are, in the shape in which a sidecar would have told them. */
function sidecarsIn(decisions: readonly ReportedDecision[]): readonly AskedSidecar[] {
  const byInstance = new Map<string, AskedSidecar & { readonly decisions: DecisionRecord[] }>();
  for (const decision of decisions) {
    const { agent, instance } = decision;
    const sidecar = byInstance.get(instance) ?? { socket: '', status: { agent, instance }, decisions: [] };
    byInstance.set(instance, sidecar);
    sidecar.decisions.push(recordOf(decision));
  }
  return [...byInstance.values()];
}

function recordOf(decision: ReportedDecision): DecisionRecord {
  const { at, correlation_id: correlationId, peer, self, outcome, session_id: sessionId, connections } = decision;
  const rejection = rejectionOf(decision);
  return {
    at,
    outcome: outcome === 'admitted' || outcome === 'terminated' ? outcome : 'denied',
    correlationId: printable(correlationId),
    subject: self && peer === '' ? 'self' : peer,
    direction: decision.role === 'dialler' ? 'outbound' : 'inbound',
    remoteAddress: decision.remote_address,
    ...(rejection !== undefined && { rejection }),
    ...(sessionId !== '' && { sessionId }),
    ...(outcome === 'terminated' && { connections }),
  };
}

function rejectionOf(decision: ReportedDecision): DecisionRecord['rejection'] {
  // A code of a newer sidecar has no explanation here; the table of both sides names it all the same.
  const code = REJECTION_CODES.find((known) => known === decision.code);
  if (code === undefined) return undefined;
  const { detail, self, nearest_baseline: nearestBaseline, clocks } = decision;
  const differences = decision.differences.flatMap(({ dimension, item, expected, observed }) => {
    const known: Dimension | undefined = DIMENSIONS.find((name) => name === dimension);
    const values = { expected: expected || undefined, observed: observed || undefined };
    return known === undefined ? [] : [{ dimension: known, item: printable(item), ...printableValues(values) }];
  });
  return {
    code,
    detail: printable(detail),
    ...(self && { self: true }),
    ...(differences.length > 0 && { differences }),
    ...(nearestBaseline !== '' && { nearestBaseline: printable(nearestBaseline) }),
    ...(clocks !== undefined && { clocks: { ...clocks, what: printable(clocks.what) } }),
  };
}

function printableValues({ expected, observed }: Record<'expected' | 'observed', string | undefined>) {
  return {
    expected: expected === undefined ? undefined : printable(expected),
    observed: observed === undefined ? undefined : printable(observed),
  };
}
