import { memoryMb } from './children.ts';
import { slopeOf, type Point } from './statistics.ts';

/**
 * For so long the memory of a process grows by what it compiles and by what its heap is allowed to take, ms: of sidecars
 * under these calls, 10 to 20 MB. What goes on growing after that is a leak.
 */
const WARM_UP_MS = 5 * 60_000;
/** Samples of a process that span less tell of its garbage collector, not of a leak, minutes. */
const MIN_SPAN_MINUTES = 5;

/**
 * The resident memory of the processes of a mesh over time, by role. A process that was started again has the slope of
 * its role, but begins where it begins: that it is smaller than the one before must not look like memory given back.
 */
export class MemoryTrend {
  readonly #startedAt = performance.now();
  readonly #seenAt = new Map<number, number>();
  /** By role and process; x in minutes since the first sample, y in MB. */
  readonly #samples = new Map<string, Map<number, Point[]>>();
  readonly #highest = new Map<string, number>();

  sample(role: string, pid: number): void {
    const now = performance.now();
    const seenAt = this.#seenAt.get(pid) ?? now;
    this.#seenAt.set(pid, seenAt);
    const mb = residentMb(pid);
    if (mb === undefined) return;
    this.#highest.set(role, Math.max(this.#highest.get(role) ?? 0, mb));
    if (now - seenAt < WARM_UP_MS) return;
    const processes = this.#samples.get(role) ?? new Map<number, Point[]>();
    this.#samples.set(role, processes);
    processes.set(pid, [...(processes.get(pid) ?? []), { x: (now - this.#startedAt) / 60_000, y: mb }]);
  }

  /** By role: the slope of its processes, MB a minute (`undefined`: too few samples), and the highest. */
  summary(): { readonly role: string; readonly slope: number | undefined; readonly highest: number }[] {
    return [...this.#highest].map(([role, highest]) => ({ role, highest, slope: this.#slopeOf(role) }));
  }

  /** The steepest slope of any role, MB a minute; infinite where none is known: no samples prove nothing. */
  steepest(): number {
    const slopes = this.summary().flatMap(({ slope }) => (slope === undefined ? [] : [slope]));
    return slopes.length === 0 ? Infinity : Math.max(...slopes);
  }

  #slopeOf(role: string): number | undefined {
    const longEnough = [...(this.#samples.get(role)?.values() ?? [])].filter(
      (points) => (points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0) >= MIN_SPAN_MINUTES,
    );
    const slope = slopeOf(...longEnough);
    return Number.isNaN(slope) ? undefined : slope;
  }
}

/** `undefined`: it has ended just now. */
function residentMb(pid: number): number | undefined {
  try {
    return memoryMb(pid).now;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ESRCH')
      return undefined;
    throw error;
  }
}
