import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';

export type HealthOutcome = 'ok' | 'failed';

/** What was tried: to place a connection, or a call on one. Each is counted by itself: good connections hide no bad calls. */
export type HealthKind = 'connection' | 'call';

export interface Observation {
  readonly outcome: HealthOutcome;
  readonly kind: HealthKind;
  /** One line, for the operator. Default: none. */
  readonly detail?: string;
}

export interface Ejection {
  readonly address: string;
  readonly kind: HealthKind;
  readonly failures: number;
  readonly forMs: number;
  /** What the last failure was, where anybody said. */
  readonly detail: string;
}

export interface OutlierEjectionOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Consecutive failures of one kind after which an instance is ejected, at least 1. */
  readonly threshold: () => number;
  /** Where the peer's instances are, one each. */
  readonly addresses: () => readonly string[];
  readonly onEjected: (ejection: Ejection) => void;
  readonly onReturned: (address: string) => void;
}

/** The first ejection takes half of this to all of it; each further one is bounded by twice as much, ms. */
const FIRST_MS = 5000;
const LONGEST_MS = 5 * 60_000;

interface Condition {
  readonly failures: Record<HealthKind, number>;
  detail: string;
  /** In a row: without an `ok` that came as long after the last one as that one took. */
  ejections: number;
  /** Our monotonic clock. */
  ejectedUntil: number;
  ejectedForMs: number;
  /** Back, and not yet seen to be well: the next failure is enough. */
  onProbation: boolean;
}

/**
 * Which instances of one peer get no new connections for a while, because they failed too often in a row. Never more
 * than half of those that are known: what most of them have is no outlier, and somebody has to be asked.
 */
export class OutlierEjection {
  readonly #options: OutlierEjectionOptions;
  readonly #conditions = new Map<string, Condition>();

  constructor(options: OutlierEjectionOptions) {
    this.#options = options;
  }

  observe(address: string, { outcome, kind, detail = '' }: Observation): void {
    if (outcome === 'ok') this.#well(address, kind);
    else this.#failed(address, kind, detail);
  }

  /** Those that are not to be asked now, longest first, and at most half of the addresses. */
  ejectedAmong(addresses: readonly string[]): ReadonlySet<string> {
    if (this.#conditions.size === 0) return new Set();
    const now = this.#options.clock.monotonic();
    const until = (address: string) => this.#conditions.get(address)?.ejectedUntil ?? 0;
    const ejected = addresses.filter((address) => until(address) > now).toSorted((a, b) => until(b) - until(a));
    return new Set(ejected.slice(0, Math.floor(addresses.length / 2)));
  }

  /** Consecutive failures, of whichever kind had more. */
  failuresOf(address: string): number {
    const { connection = 0, call = 0 } = this.#conditions.get(address)?.failures ?? {};
    return Math.max(connection, call);
  }

  /** For people. `ejectedForMs`: what is left. */
  describe(address: string): {
    readonly failures: number;
    readonly ejectedForMs: number;
    readonly lastFailure: string;
  } {
    const { ejectedUntil = 0, detail = '' } = this.#conditions.get(address) ?? {};
    const ejectedForMs = Math.max(0, Math.ceil(ejectedUntil - this.#options.clock.monotonic()));
    return { failures: this.failuresOf(address), ejectedForMs, lastFailure: detail };
  }

  /** Forgets what is known of other addresses: nobody is there any more. */
  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.#conditions.keys()) if (!addresses.has(address)) this.#conditions.delete(address);
  }

  /** Another instance is at this address now. */
  forget(address: string): void {
    this.#conditions.delete(address);
  }

  #well(address: string, kind: HealthKind): void {
    const condition = this.#conditions.get(address);
    if (condition === undefined) return;
    const now = this.#options.clock.monotonic();
    // What was under way when it was ejected may still end well; that is no reason to end the ejection.
    if (now < condition.ejectedUntil) return;
    condition.failures[kind] = 0;
    if (condition.onProbation) this.#options.onReturned(address);
    condition.onProbation = false;
    if (now - condition.ejectedUntil >= condition.ejectedForMs) condition.ejections = 0;
    if (condition.ejections === 0 && this.failuresOf(address) === 0) this.#conditions.delete(address);
  }

  #failed(address: string, kind: HealthKind, detail: string): void {
    const { clock, random, threshold, addresses, onEjected } = this.#options;
    const now = clock.monotonic();
    const condition = this.#conditions.get(address) ?? unknownCondition();
    this.#conditions.set(address, condition);
    if (now < condition.ejectedUntil) return;
    condition.failures[kind] += 1;
    condition.detail = detail;
    const failures = condition.failures[kind];
    if (failures < threshold() && !condition.onProbation) return;
    const known = addresses();
    if (!known.includes(address) || this.#ejectedNow(known) + 1 > Math.floor(known.length / 2)) return;
    const boundMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** condition.ejections);
    const forMs = boundMs * (0.5 + random.uniform() / 2);
    if (boundMs < LONGEST_MS) condition.ejections += 1;
    Object.assign(condition, { ejectedUntil: now + forMs, ejectedForMs: forMs, onProbation: true });
    onEjected({ address, kind, failures, forMs, detail });
  }

  #ejectedNow(addresses: readonly string[]): number {
    const now = this.#options.clock.monotonic();
    return addresses.filter((address) => (this.#conditions.get(address)?.ejectedUntil ?? 0) > now).length;
  }
}

function unknownCondition(): Condition {
  return {
    failures: { connection: 0, call: 0 },
    detail: '',
    ejections: 0,
    ejectedUntil: 0,
    ejectedForMs: 0,
    onProbation: false,
  };
}
