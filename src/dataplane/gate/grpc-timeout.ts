/** Milliseconds in one of each unit (gRPC over HTTP/2, "TimeoutUnit"). */
const UNIT_MS = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 } as const;

/** The largest that is passed on as it is: above, what 32 bits of nanoseconds, micros or millis hold is near, ms. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Reads a `grpc-timeout`: one to eight digits and a unit. Anything else is not passed on, because the readers of the
 * field disagree about it.
 *
 * @returns milliseconds, with a fraction; `undefined`: it is none
 */
export function parseGrpcTimeout(value: string): number | undefined {
  const parts = /^(\d{1,8})([HMSmun])$/.exec(value);
  if (parts === null) return undefined;
  return Number(parts[1]) * UNIT_MS[parts[2] as keyof typeof UNIT_MS];
}

/**
 * The deadline that goes on: the caller's, or the ceiling if it is shorter.
 *
 * @param ceilingMs longest that a call may take, ms; `undefined`: as long as 32 bits of milliseconds hold
 * @returns a `grpc-timeout`; `undefined`: the caller's may go on as it is, or there is none
 */
export function ceilGrpcTimeout(timeoutMs: number | undefined, ceilingMs: number | undefined): string | undefined {
  const ceiling = Math.min(ceilingMs ?? LONGEST_MS, LONGEST_MS);
  if (timeoutMs === undefined) return ceilingMs === undefined ? undefined : inDigits(ceiling);
  return timeoutMs > ceiling ? inDigits(ceiling) : undefined;
}

/** In the finest unit that takes at most eight digits. */
function inDigits(ms: number): string {
  return ms < 1e8 ? `${Math.floor(ms)}m` : `${Math.floor(ms / 1000)}S`;
}
