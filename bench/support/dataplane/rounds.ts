import type { ProxyPair } from '../proxies.ts';
import { median, ratioOf } from '../statistics.ts';
import type { ContenderId } from './contenders.ts';

/** What each contender came to, one entry a round. */
export class Samples<Sample extends object> {
  readonly #of = new Map<ContenderId, Sample[]>();

  add(id: ContenderId, sample: Sample): void {
    this.#of.set(id, [...(this.#of.get(id) ?? []), sample]);
  }

  has(id: ContenderId): boolean {
    return this.#of.has(id);
  }

  all(id: ContenderId, value: (sample: Sample) => number): number[] {
    return (this.#of.get(id) ?? []).map(value);
  }

  median(id: ContenderId, value: (sample: Sample) => number): number {
    return median(this.all(id, value));
  }

  /** The median of the rounds' ratios. */
  ratio(id: ContenderId, to: ContenderId, value: (sample: Sample) => number): number {
    return ratioOf(this.all(id, value), this.all(to, value));
  }
}

/**
 * Each contender once a round, so that noise hits all alike, and each round begins with another one. A round before the
 * first warms up, and counts for nothing.
 */
export async function inRounds<Sample extends object>(
  rounds: number,
  running: ReadonlyMap<ContenderId, ProxyPair>,
  measure: (pair: ProxyPair, id: ContenderId) => Promise<Sample>,
): Promise<Samples<Sample>> {
  const samples = new Samples<Sample>();
  const all = [...running];
  for (let round = -1; round < rounds; round += 1) {
    const first = (round + 1) % all.length;
    for (const [id, pair] of [...all.slice(first), ...all.slice(0, first)]) {
      const sample = await measure(pair, id);
      if (round >= 0) samples.add(id, sample);
    }
  }
  return samples;
}
