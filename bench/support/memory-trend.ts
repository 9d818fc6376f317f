import { memoryMb } from './children.ts';

interface Sample {
  /** Minutes since the first. */
  readonly at: number;
  readonly mb: number;
}

/** After the start of a process its memory grows for reasons of its own; so long it does not count, ms. */
const WARM_UP_MS = 60_000;

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
      slope: slopeOf(this.#samples.get(role) ?? []),
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

function slopeOf(samples: readonly Sample[]): number | undefined {
  if (samples.length < 12) return undefined;
  const mean = (of: (sample: Sample) => number) => samples.reduce((sum, one) => sum + of(one), 0) / samples.length;
  const [at, mb] = [mean((one) => one.at), mean((one) => one.mb)];
  const spread = samples.reduce((sum, one) => sum + (one.at - at) ** 2, 0);
  return samples.reduce((sum, one) => sum + (one.at - at) * (one.mb - mb), 0) / spread;
}
