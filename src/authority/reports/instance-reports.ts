import { isSpiffeId, type SpiffeId } from '../../domain/agent-id.ts';
import { JsonError, parseStrictJson } from '../../domain/canonical/strict-json.ts';
import { parseMeasurement } from '../../domain/measurement-json.ts';
import type { Measurement } from '../../domain/measurement.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import type { Clock } from '../../platform/clock.ts';
import type { InstanceStatus__Output } from '../../wire/generated/ait/v1/InstanceStatus.ts';
import type { SessionSummary__Output } from '../../wire/generated/ait/v1/SessionSummary.ts';

/** What an instance last said of itself, bounded. */
export interface ReportedStatus {
  readonly version: string;
  /** `undefined` where it could not be measured. */
  readonly measurement: Measurement | undefined;
  /** Id of the baseline it equals; empty where it equals none. */
  readonly baseline: string;
  /** Why it refuses its own agent; empty where it is in order. */
  readonly rejectionCode: string;
  readonly blockers: readonly { readonly name: string; readonly reason: string }[];
}

export interface ReportedSession {
  readonly id: string;
  readonly peer: SpiffeId;
  readonly peerInstance: string;
  readonly role: 'dialler' | 'acceptor';
  /** Milliseconds since the epoch, by the sidecar's clock. */
  readonly acceptedAt: number;
  readonly connections: number;
}

/** One instance by its own word. Testimony: nothing is decided by it. */
export interface ReportedInstance {
  readonly id: string;
  readonly agent: SpiffeId;
  /** `undefined` where it could not be measured, or has not said. */
  readonly measurement: Measurement | undefined;
  /** `undefined` before it has said. */
  readonly status: ReportedStatus | undefined;
  readonly sessions: readonly ReportedSession[];
  /** Milliseconds since the epoch: when it last said anything, and since when it is silent. */
  readonly heardAt: number;
  readonly goneAt: number | undefined;
}

/** How long one that is gone is remembered, in ms, and how many of them. */
const REMEMBER_MS = 24 * 3_600_000;
const MAX_GONE = 2_000;
const FORGET_AT_ONCE = 500;
const MAX_BLOCKERS = 32;
const MAX_NAME_CHARS = 200;
const MAX_REASON_CHARS = 500;

/** The last word of every instance, also of those that are gone, for a while. */
export class InstanceReports {
  readonly #clock: Clock;
  readonly #byId = new Map<string, ReportedInstance>();
  readonly #streams = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A stream of the instance has opened. @returns what to call when it is over. */
  opened(id: string, agent: SpiffeId): () => void {
    this.#streams.set(id, (this.#streams.get(id) ?? 0) + 1);
    this.#update(id, agent, {});
    let over = false;
    return () => {
      if (over) return;
      over = true;
      const left = (this.#streams.get(id) ?? 1) - 1;
      if (left > 0) {
        this.#streams.set(id, left);
        return;
      }
      this.#streams.delete(id);
      const known = this.#byId.get(id);
      if (known === undefined) return;
      // Sessions end with their process; of its end nobody else may ever tell.
      this.#byId.delete(id);
      this.#byId.set(id, { ...known, sessions: [], goneAt: this.#clock.now() });
      // Not each time: when a whole cluster goes away, that would be its square.
      if (this.#byId.size - this.#streams.size > MAX_GONE + FORGET_AT_ONCE) this.#forget();
    };
  }

  setStatus(id: string, agent: SpiffeId, status: ReportedStatus): void {
    this.#update(id, agent, { status, measurement: status.measurement });
  }

  setSessions(id: string, agent: SpiffeId, sessions: readonly ReportedSession[]): void {
    this.#update(id, agent, { sessions });
  }

  get(id: string): ReportedInstance | undefined {
    return this.#byId.get(id);
  }

  /** Those that report now. After a start of the authority they come back within seconds, not at once. */
  reported(): readonly ReportedInstance[] {
    return [...this.#byId.values()].filter(({ goneAt }) => goneAt === undefined);
  }

  /** Those that are there and those that are gone, see {@link ReportedInstance.goneAt}. */
  all(): readonly ReportedInstance[] {
    this.#forget();
    return [...this.#byId.values()];
  }

  #update(id: string, agent: SpiffeId, more: Partial<ReportedInstance>): void {
    const known = this.#byId.get(id);
    const heardAt = this.#clock.now();
    const before = known ?? { id, agent, measurement: undefined, status: undefined, sessions: [] };
    this.#byId.set(id, { ...before, ...more, heardAt, goneAt: undefined });
  }

  #forget(): void {
    const now = this.#clock.now();
    const gone = [...this.#byId.values()].filter(({ goneAt }) => goneAt !== undefined);
    const spare = gone.length - MAX_GONE;
    gone.forEach(({ id, goneAt = now }, index) => {
      if (index < spare || now - goneAt > REMEMBER_MS) this.#byId.delete(id);
    });
  }
}

/** Reads a status as a sidecar sends it. @returns a text where it is malformed: why. */
export function readStatus(status: InstanceStatus__Output): ReportedStatus | string {
  const { version, baseline, rejectionCode, blockers } = status;
  const measurement = readMeasurement(status.measurement);
  if (typeof measurement === 'string') return measurement;
  return {
    version: version.slice(0, MAX_NAME_CHARS),
    measurement,
    baseline: baseline.slice(0, MAX_NAME_CHARS),
    rejectionCode: rejectionCode.slice(0, MAX_NAME_CHARS),
    blockers: blockers.slice(0, MAX_BLOCKERS).map(({ name, reason }) => ({
      name: name.slice(0, MAX_NAME_CHARS),
      reason: reason.slice(0, MAX_REASON_CHARS),
    })),
  };
}

/** Reads one session as a sidecar sends it; `undefined` where it is none. */
export function readSession(session: SessionSummary__Output): ReportedSession | undefined {
  const { sessionId, peer, peerInstance, role, acceptedAtMs, connections } = session;
  if (!isSpiffeId(peer) || (role !== 'dialler' && role !== 'acceptor')) return undefined;
  if (sessionId.length > MAX_NAME_CHARS || peerInstance.length > MAX_NAME_CHARS) return undefined;
  return { id: sessionId, peer, peerInstance, role, acceptedAt: acceptedAtMs, connections };
}

function readMeasurement(json: string): Measurement | undefined | string {
  if (json === '') return undefined;
  try {
    return parseMeasurement(parseStrictJson(json, { maxDepth: 8 }));
  } catch (error) {
    if (error instanceof JsonError || isMeshError(error)) return `the measurement is malformed: ${error.message}`;
    throw error;
  }
}
