import { get } from 'node:http';
import { cpuMs, memoryMb } from './children.ts';

/** Watches one process: its CPU, its memory, and counters that it serves as `/metrics`. */
export class ProcessMeter {
  readonly #pid: number;
  readonly #metrics: string;
  readonly #rateOf: string;
  readonly #samples: { readonly at: number; readonly cpuMs: number; readonly count: number }[] = [];
  readonly #timer: NodeJS.Timeout;

  /** @param metrics `host:port`. @param rateOf the counter whose highest rate is wanted. */
  constructor({ pid, metrics, rateOf }: { pid: number; metrics: string; rateOf: string }) {
    this.#pid = pid;
    this.#metrics = metrics;
    this.#rateOf = rateOf;
    this.#timer = setInterval(() => void this.#sample(), 200);
  }

  /** @returns the highest CPU share (1 is a whole core) and rate in any second, and memory. */
  async stop(): Promise<{ peakCpu: number; cpuMs: number; peakRate: number; rssMb: number; peakRssMb: number }> {
    clearInterval(this.#timer);
    await this.#sample();
    const { now, peak } = memoryMb(this.#pid);
    const last = this.#samples.at(-1);
    return {
      peakCpu: this.#steepest(({ cpuMs }) => cpuMs / 1000),
      cpuMs: last?.cpuMs ?? 0,
      peakRate: this.#steepest(({ count }) => count),
      rssMb: now,
      peakRssMb: peak,
    };
  }

  async #sample(): Promise<void> {
    const count = sumOf(await scrape(this.#metrics), this.#rateOf);
    this.#samples.push({ at: performance.now(), cpuMs: cpuMs(this.#pid), count });
  }

  /** Growth per second over any stretch of about a second. */
  #steepest(of: (sample: { cpuMs: number; count: number }) => number): number {
    let steepest = 0;
    for (const [index, from] of this.#samples.entries()) {
      const to = this.#samples.slice(index + 1).find(({ at }) => at - from.at >= 900) ?? this.#samples.at(-1);
      if (to !== undefined && to.at - from.at >= 500)
        steepest = Math.max(steepest, (of(to) - of(from)) / ((to.at - from.at) / 1000));
    }
    return steepest;
  }
}

/** What a process serves as `/metrics` at `host:port`. */
export function scrape(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(`http://${address}/metrics`, { agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      response.on('end', () => resolve(Buffer.concat(chunks).toString()));
    }).on('error', reject);
  });
}

/** The sum of all series of a metric whose line has all these texts; 0 where there is none. */
export function sumOf(metrics: string, name: string, ...containing: readonly string[]): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => containing.every((text) => line.includes(text)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
