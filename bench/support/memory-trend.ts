import { memoryMb } from './children.ts';
import { slopeOf } from './statistics.ts';

interface Sample {
  /** Minutes since the first. */
  readonly at: number;
  readonly mb: number;
}

/** After the start of a process its memory grows for reasons of its own; so long it does not count, ms. */
const WARM_UP_MS = 60_000;
/** From fewer there is no slope to tell. */
const MIN_SAMPLES = 12;

/** The resident memory of the processes of a mesh over time, by role: a restarted process goes on the line of the old one. */
export class MemoryTrend {
  readonly #startedAt = performance.now();
  readonly #seenAt = new Map<number, number>();
  readonly #samples = new Map<string, Sample[]>();
  readonly #highest = new Map<string, number>();

  sample(role: string, pid: number): void {
    const now = performance.now();
    const seenAt = this.#seenAt.get(pid) ?? now;
    this.#seenAt.set(pid, seenAt);
    const mb = residentMb(pid);
    if (mb === undefined) return;
    this.#highest.set(role, Math.max(this.#highest.get(role) ?? 0, mb));
    if (now - seenAt < WARM_UP_MS) return;
    const samples = this.#samples.get(role) ?? [];
    samples.push({ at: (now - this.#startedAt) / 60_000, mb });
    this.#samples.set(role, samples);
  }

  /** By role: the slope of the straight line through its samples, MB a minute (`undefined`: too few), and the highest. */
  summary(): { readonly role: string; readonly slope: number | undefined; readonly highest: number }[] {
    return [...this.#highest].map(([role, highest]) => ({
      role,
      highest,
      slope: slopeOfSamples(this.#samples.get(role) ?? []),
    }));
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

function slopeOfSamples(samples: readonly Sample[]): number | undefined {
  return samples.length < MIN_SAMPLES ? undefined : slopeOf(samples.map(({ at, mb }) => ({ x: at, y: mb })));
}
