/** What the fleet benchmark and the processes that run its sidecars say to each other, one JSON object a line. */

/** One sidecar of the fleet. */
export interface FleetMember {
  readonly name: string;
  /** Its configuration file. */
  readonly config: string;
}

/** What a sidecar was seen to do: it applied new state, or a session of it ended because somebody was revoked. */
export type Sight = 'applied' | 'revoked';

export type FleetQuestion =
  | { readonly ask: 'start'; readonly members: readonly FleetMember[]; readonly app: string }
  /** Open a connection to these peers of each sidecar, by position in its configuration, and keep it. */
  | { readonly ask: 'connect'; readonly peers: readonly number[] }
  /** Forget what was seen, and begin to look. */
  | { readonly ask: 'reset' }
  /** Answer when every sidecar has been seen to do it, or after so long. */
  | { readonly ask: 'await'; readonly sight: Sight; readonly withinMs: number }
  | { readonly ask: 'count' };

/** Answers carry the name of the question as `event`. Times are milliseconds on the machine's monotonic clock. */
export interface FleetTimes {
  /** Of each sidecar that did it, once. */
  readonly at: readonly number[];
}

/** What happened in one process since the last reset. */
export interface FleetCounts {
  readonly liveSessions: number;
  /** Sessions that ended, by rejection code. */
  readonly ended: Readonly<Record<string, number>>;
  /** When a Watch broke or could not be opened. */
  readonly watchesBroken: readonly number[];
  readonly joins: number;
  readonly errors: readonly string[];
  readonly rssMb: number;
}

/** Milliseconds on the machine's monotonic clock, which is the same for all processes. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
