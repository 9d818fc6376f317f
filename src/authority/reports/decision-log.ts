import { mkdir } from 'node:fs/promises';
import { after, type Clock } from '../../platform/clock.ts';
import type { Component, StopOptions } from '../../platform/component.ts';
import type { Logger } from '../../platform/logger.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import { DecisionSegment, findSegments, type Place } from './decision-segment.ts';
import type { StoredDecision } from './stored-decision.ts';

export interface DecisionLogOptions {
  /** Made when it is not there; nothing else may be in it. */
  readonly directory: string;
  /** How long a decision is kept, in ms. */
  readonly maxAgeMs: number;
  /** How many are kept. */
  readonly maxCount: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
}

export interface DecisionSearch {
  readonly correlationId?: string | undefined;
  /** Whose sidecar decided, or about whom. */
  readonly agent?: string | undefined;
  /** Newest first, at most so many. */
  readonly limit: number;
}

interface Entry {
  /** When it was received: a sidecar's clock may be anything. */
  readonly receivedAt: number;
  readonly correlationId: string;
  readonly agent: string;
  readonly peer: string;
  readonly segment: DecisionSegment;
  readonly place: Place;
}

/** The log is this many files; the oldest goes as a whole, so that nothing is ever rewritten. */
const SEGMENTS = 8;
const MAX_SEGMENT_BYTES = 8 * 1024 * 1024;
/** Decisions that wait for the disk. Beyond them new ones are dropped: a slow disk must hold nobody up. */
const MAX_WAITING = 5_000;
const MAX_BATCH = 500;
const PRUNE_MS = 60_000;
const MAX_SETTLE_MS = 1_000;
const MAX_INTERNED = 10_000;

/**
 * What sidecars decided, for `ait explain`: appended to files, found again through an index in memory, and bounded in
 * age, number and bytes. Nothing waits for it, and nothing is decided by it: where it cannot write, it drops and counts.
 */
export class DecisionLog implements Component {
  readonly name = 'decision log';
  readonly #options: DecisionLogOptions;
  readonly #segments: DecisionSegment[] = [];
  /** Oldest first. */
  readonly #entries: Entry[] = [];
  readonly #waiting: StoredDecision[] = [];
  /** One string for each name, however many decisions have it. */
  readonly #names = new Map<string, string>();
  readonly #failureLines: RateLimit;
  #writing: Promise<void> | undefined;
  #unwritten = 0;
  #cancelPrune: (() => void) | undefined;
  #stopped = false;

  constructor(options: DecisionLogOptions) {
    this.#options = options;
    this.#failureLines = new RateLimit({ burst: 1, perSecond: 0.1, clock: options.clock });
  }

  /** Reads what earlier processes wrote; a last line that a crash cut off is taken away. */
  async start(): Promise<void> {
    const { directory, logger } = this.#options;
    try {
      await this.#load();
    } catch (error) {
      // The mesh does not depend on it: what can be kept from now on is kept.
      logger.error('decisions_not_read', { directory, error });
    }
    this.#armPrune();
  }

  async #load(): Promise<void> {
    const { directory, logger } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const segment of await findSegments(directory)) {
      this.#segments.push(segment);
      const damaged = await segment.load(({ receivedAt, decision, place }) => {
        this.#index(decision, { receivedAt, segment, place });
      });
      if (damaged > 0) logger.warn('decisions_damaged', { file: segment.path, count: damaged });
    }
    await this.#prune();
  }

  /** Writes what waits, then closes. */
  async stop(_options: StopOptions): Promise<void> {
    this.#stopped = true;
    this.#cancelPrune?.();
    await this.#writing;
    await this.#segments.at(-1)?.close();
  }

  /** Never waits, never throws. */
  add(decision: StoredDecision): void {
    if (this.#waiting.length >= MAX_WAITING || this.#stopped) {
      this.#options.metrics.decisionsDropped.add({ reason: 'queue' });
      return;
    }
    this.#waiting.push(decision);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async find({ correlationId, agent, limit }: DecisionSearch): Promise<readonly StoredDecision[]> {
    await this.#settled();
    const oldest = this.#options.clock.now() - this.#options.maxAgeMs;
    const found = new Map<DecisionSegment, Place[]>();
    let count = 0;
    for (let at = this.#entries.length - 1; at >= 0 && count < limit; at -= 1) {
      const entry = this.#entries[at];
      if (entry === undefined || entry.receivedAt < oldest) continue;
      if (correlationId !== undefined && entry.correlationId !== correlationId) continue;
      if (agent !== undefined && entry.agent !== agent && entry.peer !== agent) continue;
      const places = found.get(entry.segment) ?? [];
      places.push(entry.place);
      found.set(entry.segment, places);
      count += 1;
    }
    const read = await Promise.all([...found].map(([segment, places]) => segment.read(places)));
    return read.flat().toSorted((a, b) => b.at - a.at);
  }

  /** What was reported before a question belongs to the answer; but a slow disk must not keep it waiting for ever. */
  async #settled(): Promise<void> {
    if (this.#writing === undefined) return;
    let cancel = (): void => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = after({ delayMs: MAX_SETTLE_MS, run: resolve });
    });
    await Promise.race([this.#writing, late]);
    cancel();
  }

  async #write(): Promise<void> {
    const { clock, metrics, logger } = this.#options;
    // In the next turn: what came in one report is written at once.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      const receivedAt = clock.now();
      try {
        const segment = await this.#current();
        const places = await segment.append(batch.map((decision) => ({ receivedAt, decision })));
        batch.forEach((decision, index) => {
          const place = places[index];
          if (place !== undefined) this.#index(decision, { receivedAt, segment, place });
        });
        metrics.decisionsKept.add(batch.length);
      } catch (error) {
        metrics.decisionsDropped.add({ reason: 'write' }, batch.length);
        this.#unwritten += batch.length;
        if (this.#failureLines.take()) {
          logger.error('decisions_not_kept', { count: this.#unwritten, error });
          this.#unwritten = 0;
        }
      }
      await this.#prune();
    }
  }

  /** The file that is appended to; a new one when it is full, or when it could not be repaired after a failure. */
  async #current(): Promise<DecisionSegment> {
    const last = this.#segments.at(-1);
    const full = Math.ceil(this.#options.maxCount / SEGMENTS);
    if (last !== undefined && !last.broken && last.size < MAX_SEGMENT_BYTES && last.count < full) return last;
    await last?.close();
    const next = new DecisionSegment(this.#options.directory, (last?.number ?? 0) + 1);
    this.#segments.push(next);
    return next;
  }

  #index(decision: StoredDecision, where: Pick<Entry, 'receivedAt' | 'segment' | 'place'>): void {
    const { correlation_id: correlationId, agent, peer } = decision;
    where.segment.held += 1;
    this.#entries.push({ ...where, correlationId, agent: this.#intern(agent), peer: this.#intern(peer) });
    while (this.#entries.length > this.#options.maxCount) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#entries.shift();
    if (oldest !== undefined) oldest.segment.held -= 1;
  }

  /** Forgets what is too old, and removes files in which nothing counts any more. */
  async #prune(): Promise<void> {
    const { clock, maxAgeMs, metrics, logger } = this.#options;
    const oldest = clock.now() - maxAgeMs;
    for (let first = this.#entries[0]; first !== undefined && first.receivedAt < oldest; first = this.#entries[0]) {
      this.#forgetOldest();
    }
    while (this.#segments.length > SEGMENTS + 1) {
      const [segment] = this.#segments;
      if (segment === undefined) break;
      while (this.#entries[0]?.segment === segment) this.#forgetOldest();
      if (!(await this.#remove(segment))) break;
    }
    for (const segment of this.#segments.slice(0, -1)) if (segment.held === 0) await this.#remove(segment);
    const last = this.#segments.at(-1);
    if (last !== undefined && last.held === 0 && last.size > 0) await this.#remove(last);
    metrics.decisionsHeld.set(this.#entries.length);
    if (this.#segments.length > 4 * SEGMENTS) logger.error('decisions_not_removed', { files: this.#segments.length });
  }

  async #remove(segment: DecisionSegment): Promise<boolean> {
    try {
      await segment.remove();
      this.#segments.splice(this.#segments.indexOf(segment), 1);
      return true;
    } catch (error) {
      if (this.#failureLines.take()) this.#options.logger.error('decisions_not_removed', { file: segment.path, error });
      return false;
    }
  }

  #armPrune(): void {
    this.#cancelPrune = after({
      delayMs: Math.min(PRUNE_MS, this.#options.maxAgeMs),
      keepAlive: false,
      run: () => {
        if (this.#stopped) return;
        this.#writing ??= this.#prune().finally(() => {
          this.#writing = undefined;
        });
        this.#armPrune();
      },
    });
  }

  #intern(name: string): string {
    if (this.#names.size > MAX_INTERNED) this.#names.clear();
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    this.#names.set(name, name);
    return name;
  }
}
