import type { LogLine } from '../../test/support/child-process.ts';
import type { FailedCall } from '../../test/support/steady-calls.ts';
import type { EventKind, SoakEvent } from './soak-events.ts';

/** A line of a log at level warn or above, and the instance that wrote it (`authority` for the authority). */
export interface Complaint {
  readonly writer: string;
  readonly line: LogLine;
}

/** What is known of the mesh besides: whose instance a writer is, and who has to do with whom. */
export interface Relations {
  readonly agentOf: (pod: string) => string;
  readonly calls: (from: string, to: string) => boolean;
}

/** What one event may bring about is over so long after everybody has called again, ms. */
const AFTERMATH_MS = 2000;
/** For so long after its connection was reset a gRPC channel fails calls without trying, ms. */
const BACKOFF_MS = 5000;
/** Said at each start of a mesh on one machine, under one user. */
const OF_THE_SETUP: ReadonlySet<string> = new Set([
  'agent_shares_user',
  'agent_user_unknown',
  'join_credential_exposed',
  // Certificates of 10 s are what this is about.
  'svids_end_before_tolerance',
]);

/**
 * A peer went, came back, or is another instance now: codes and events of log lines that this explains. Who was just
 * opening a connection of a session that then ended hangs up before its preface; who was just continuing it finds none.
 */
const PEER_WENT = [
  'PEER_ENDED', 'PEER_LOST', 'PEER_UNREACHABLE', 'PEER_REFUSED', 'PEER_ADDRESS_UNKNOWN', 'PEER_DRAINING',
  'TLS_HANDSHAKE_FAILED', 'DATA_SESSION_UNKNOWN', 'UNEXPECTED_PEER', 'WRONG_INSTANCE', 'APP_UNREACHABLE',
  'CONTINUATION_UNKNOWN', 'DATA_PREFACE_INVALID', 'instance_ejected',
] as const; // prettier-ignore
const AUTHORITY_WENT = ['state_watch_broken', 'ait_renewal_failed', 'svid_renewal_failed'] as const;

const EXPLAINS = {
  drift: ['SYSTEM_PROMPT_DRIFT', 'MEASUREMENT_UNREADABLE', 'MEASUREMENT_UNSTABLE', 'MEASUREMENT_INVALID', 'measurement_failed', ...PEER_WENT],
  'drain and restart': PEER_WENT,
  'kill -9 of a sidecar': PEER_WENT,
  // Who shares no grant with an agent is not even told of it.
  'grant withdrawn': [
    'GRANT_MISSING', 'AGENT_UNKNOWN', 'PEER_ADDRESS_UNKNOWN', 'PEER_ENDED', 'PEER_REFUSED',
    // The callee hears only that a handshake broke off, where the caller was just dialling.
    'CONTINUATION_UNKNOWN', 'DATA_PREFACE_INVALID', 'TLS_HANDSHAKE_FAILED',
  ],
  'instance revoked': [
    'REVOKED', 'watch_ended', 'ait_refused', 'renewal_refused', 'svid_renewal_refused', 'leaving_not_told',
    ...AUTHORITY_WENT, ...PEER_WENT,
  ],
  'authority away': AUTHORITY_WENT,
  'kill -9 of the authority': AUTHORITY_WENT,
} as const satisfies Record<EventKind, readonly string[]>; // prettier-ignore

/** Which event a failed call is owed to; `undefined`: none. An authority that is away is no reason for any. */
export function explainCall(call: FailedCall, events: readonly SoakEvent[]): EventKind | undefined {
  return events.find((event) => {
    if (call.failedAt < event.from || call.startedAt > event.until + AFTERMATH_MS) return false;
    if (event.kind === 'grant withdrawn') return call.from.startsWith(`${event.agent}-`) && call.to === event.callee;
    return event.pod !== undefined && (call.from === event.pod || call.to === event.agent);
  })?.kind;
}

/** Which event a complaint is owed to; `setup`: to how the soak is set up; `undefined`: to none. */
export function explainComplaint(
  { writer, line }: Complaint,
  events: readonly SoakEvent[],
  relations: Relations,
): EventKind | 'setup' | undefined {
  if (OF_THE_SETUP.has(line.event)) return 'setup';
  const at = Date.parse(String(line['ts']));
  const said = [line.event, String(line['code'])];
  return events.find((event) => {
    if (at < event.from || at > event.until + AFTERMATH_MS) return false;
    const reasons: readonly string[] = EXPLAINS[event.kind];
    if (!said.some((what) => reasons.includes(what))) return false;
    if (event.agent === undefined || writer === 'authority') return true;
    const agent = relations.agentOf(writer);
    return agent === event.agent || relations.calls(agent, event.agent) || relations.calls(event.agent, agent);
  })?.kind;
}

/** Whether a call ended because a certificate did: what a rotation must not bring about. */
export function isEndOfCertificate(call: FailedCall, complaints: readonly Complaint[]): boolean {
  return complaints.some(({ writer, line }) => {
    const at = Date.parse(String(line['ts']));
    return (
      line['code'] === 'CERTIFICATE_EXPIRED' &&
      at > call.startedAt - BACKOFF_MS &&
      at < call.failedAt + 1500 &&
      (writer === call.from || writer.startsWith(`${call.to}-`))
    );
  });
}

/** How many complaints say the same, most first, each with one that says it. */
export function groupComplaints(
  complaints: readonly Complaint[],
): { readonly what: string; readonly count: number; readonly example: Complaint }[] {
  const groups = new Map<string, Complaint[]>();
  for (const complaint of complaints) {
    const { event, code } = complaint.line as Complaint['line'] & { readonly code?: unknown };
    const what = typeof code === 'string' ? `${event} ${code}` : event;
    groups.set(what, [...(groups.get(what) ?? []), complaint]);
  }
  return [...groups]
    .flatMap(([what, [example, ...more]]) => (example === undefined ? [] : [{ what, count: 1 + more.length, example }]))
    .toSorted((a, b) => b.count - a.count);
}
