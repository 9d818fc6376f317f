import { canonicalizeJson } from '../domain/canonical/jcs.ts';
import { measurementToJson } from '../domain/measurement-json.ts';
import type { Rejection } from '../domain/rejection.ts';
import type { Blocker } from '../platform/readiness.ts';
import type { Decision as WireDecision } from '../wire/generated/ait/v1/Decision.ts';
import type { InstanceStatus } from '../wire/generated/ait/v1/InstanceStatus.ts';
import type { SessionSummary } from '../wire/generated/ait/v1/SessionSummary.ts';
import type { Decision } from './decision-log.ts';
import type { MeasurementResult } from './measure/measurer.ts';
import type { Session } from './session/session.ts';

/** As many entries of a difference as are reported; the sidecar's own log has them all. */
const MAX_DIFFERENCES = 20;
const MAX_TEXT_CHARS = 500;

/** How we are doing, as the authority is told. */
export interface OwnStatus {
  readonly version: string;
  readonly measurement: MeasurementResult;
  /** Id of the baseline we equal. */
  readonly baseline: string | undefined;
  readonly rejection: Rejection | undefined;
  readonly blockers: readonly Blocker[];
}

export function statusToWire({ version, measurement, baseline, rejection, blockers }: OwnStatus): InstanceStatus {
  return {
    version,
    measurement: measurement.ok ? canonicalizeJson(measurementToJson(measurement.measurement)) : '',
    baseline: baseline ?? '',
    rejectionCode: rejection?.code ?? '',
    blockers: blockers.map(({ name, reason }) => ({ name, reason: reason.slice(0, MAX_TEXT_CHARS) })),
  };
}

export function sessionToWire(session: Session): SessionSummary {
  const { id, peer, peerInstance, role, acceptedAt, connections } = session;
  return {
    sessionId: id ?? '',
    peer,
    peerInstance: peerInstance ?? '',
    role,
    acceptedAtMs: acceptedAt ?? 0,
    connections: connections.size,
  };
}

/** Of a call also which one: a detail that names it says so already. */
function detailOf({ rejection, call }: Decision): string {
  const { detail } = rejection ?? { detail: '' };
  if (call === undefined) return detail;
  const what = `${call.method} ${call.path}`;
  return `${call.wasUnderWay ? 'cut under way: ' : ''}${detail.includes(what) ? '' : `${what}: `}${detail}`;
}

/** Everything the authority may know of a decision: digests yes, texts never. */
export function decisionToWire(decision: Decision): WireDecision {
  const { at, correlationId, subject, outcome, rejection, direction, sessionId, connections, remoteAddress } = decision;
  const { clocks } = rejection ?? {};
  return {
    atMs: at,
    correlationId,
    peer: subject === 'self' ? '' : subject,
    outcome: outcome === 'refused' ? 'denied' : outcome,
    code: rejection?.code ?? '',
    detail: detailOf(decision).slice(0, MAX_TEXT_CHARS),
    role: direction === 'outbound' ? 'dialler' : 'acceptor',
    sessionId: sessionId ?? '',
    self: subject === 'self' || rejection?.self === true,
    differences: (rejection?.differences ?? []).slice(0, MAX_DIFFERENCES).map((difference) => ({
      dimension: difference.dimension,
      item: difference.item.slice(0, MAX_TEXT_CHARS),
      expected: (difference.expected ?? '').slice(0, MAX_TEXT_CHARS),
      observed: (difference.observed ?? '').slice(0, MAX_TEXT_CHARS),
    })),
    nearestBaseline: rejection?.nearestBaseline ?? '',
    connections: connections ?? 0,
    remoteAddress,
    ...(clocks !== undefined && { ourClockMs: clocks.ours, theirClockMs: clocks.theirs, comparedWith: clocks.what }),
  };
}
