import type { TextDifference } from '../../domain/canonical/text-difference.ts';
import type { Decision } from '../../sidecar/decision-log.ts';

/** A decision as the admin socket gives it. */
export interface DecisionRecord extends Decision {
  /** Only for drift of a prompt of the sidecar's own agent whose texts it knows. */
  readonly textDifference?: TextDifference & { readonly prompt: string };
}

/** What a sidecar says of itself, as far as it is needed here. */
export interface SidecarStatus {
  /** SPIFFE ID. */
  readonly agent: string;
  readonly instance?: string;
  /** Whether it would admit itself. */
  readonly inOrder?: boolean;
}

/** One sidecar that answered. */
export interface AskedSidecar {
  readonly socket: string;
  readonly status: SidecarStatus;
  /** Newest first. */
  readonly decisions: readonly DecisionRecord[];
}

/** A decision and whose it was. */
export interface FoundDecision {
  readonly decision: DecisionRecord;
  readonly sidecar: AskedSidecar;
  /** How many calls were refused for the same reason since. */
  readonly repeats: number;
}

type Candidate = Omit<FoundDecision, 'repeats'>;

export interface Search {
  /** A name or a whole SPIFFE ID; `undefined`: any. */
  readonly agent: string | undefined;
  /** Correlation id; also what the peer said counts. */
  readonly id?: string;
}

/** Whether an agent's SPIFFE ID is meant by a name. */
export function isAgent(spiffeId: string, nameOrId: string): boolean {
  return spiffeId === nameOrId || spiffeId.endsWith(`/agent/${nameOrId}`);
}

/** How the other side may have ended it without knowing why: less telling than any other decision of that moment. */
const HEARSAY = new Set(['PEER_ENDED', 'PEER_REFUSED', 'PEER_LOST', 'DATA_SESSION_UNKNOWN']);
/** Ends in good order explain nothing. */
const IN_GOOD_ORDER = new Set(['IDLE', 'PEER_DRAINING']);
/** Decisions so close to each other, in ms, are about one event. */
const ONE_EVENT_MS = 3_000;

/**
 * The newest refusal or end in which the agent is the subject or the owner; of several about one event, the one by the
 * side that knows the reason.
 */
export function findDecision(sidecars: readonly AskedSidecar[], { agent, id }: Search): FoundDecision | undefined {
  const about = sidecars
    .flatMap((sidecar) => sidecar.decisions.map((decision) => ({ sidecar, decision })))
    .filter(({ sidecar, decision }) => decision.rejection !== undefined && concerns(agent, sidecar, decision))
    .filter(({ decision }) =>
      id === undefined ? !IN_GOOD_ORDER.has(decision.rejection?.code ?? '') : hasId(decision, id),
    )
    .toSorted((a, b) => b.decision.at - a.decision.at);
  // A port scanner is no news while there is word of anybody who could say who they are.
  const ofKnown = about.filter(({ decision }) => !isStranger(decision));
  const telling = ofKnown.length > 0 ? ofKnown : about;
  const [newest] = telling;
  if (newest === undefined) return undefined;
  const together = telling.filter(({ decision }) => newest.decision.at - decision.at <= ONE_EVENT_MS);
  // The call knows the place where its prompt departs; the verdict that followed from it does not.
  const { code, inUse } = newest.decision.rejection ?? {};
  const call = together.find(({ decision }) => decision.where !== undefined && decision.rejection?.code === code);
  if (inUse !== undefined && call !== undefined) return beginningOf(call, about);
  const told = together.find(({ decision }) => !HEARSAY.has(decision.rejection?.code ?? '')) ?? newest;
  return beginningOf(told, about);
}

/**
 * What goes on being refused is one event: told is how it began, which is when something was cut, and how often it
 * came back.
 */
function beginningOf(found: Candidate, about: readonly Candidate[]): FoundDecision {
  const own = about.filter(({ sidecar }) => sidecar === found.sidecar);
  const start = own.indexOf(found);
  const otherwise = own.findIndex((one, index) => index > start && !isSameCause(one.decision, found.decision));
  const run = own.slice(start, otherwise === -1 ? own.length : otherwise);
  const cut = run.findIndex(({ decision }) => decision.outcome === 'terminated');
  return cut === -1 ? { ...found, repeats: 0 } : { ...(run[cut] ?? found), repeats: countCalls(run.slice(0, cut)) };
}

/** Who comes in without a proven name. Who goes out without one is our own agent. */
function isStranger({ subject, direction }: DecisionRecord): boolean {
  return subject === '' && direction === 'inbound';
}

function isSameCause(a: DecisionRecord, b: DecisionRecord): boolean {
  return a.rejection?.code === b.rejection?.code && a.rejection?.detail === b.rejection?.detail;
}

/** The sidecar's verdict on its own agent is no call. */
function countCalls(found: readonly Candidate[]): number {
  return found.filter(({ decision }) => decision.subject !== 'self').length;
}

function concerns(agent: string | undefined, { status }: AskedSidecar, { subject }: DecisionRecord): boolean {
  return agent === undefined || isAgent(status.agent, agent) || isAgent(subject, agent);
}

function hasId({ correlationId, rejection }: DecisionRecord, id: string): boolean {
  return correlationId === id || rejection?.peerSaid?.correlationId === id;
}
