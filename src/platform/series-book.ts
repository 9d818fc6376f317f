import type { Clock } from './clock.ts';

export type SeriesLabels = Readonly<Record<string, string>>;

/** Who writes to a series without asking each time. */
export interface SeriesHolder {
  /**
   * Writes what has come together since the last time.
   *
   * @returns whether the series is in use: something was written, or it may not go yet.
   */
  settle(): boolean;
  /** The series is gone. Whatever comes now has to claim it again. */
  evicted(): void;
}

/** The series of all metrics of one registry, so that the cap is one cap. */
export class SeriesBook {
  readonly maxSeries: number;
  readonly clock: Clock;
  readonly onDropped: () => void;
  readonly #families: Family[] = [];
  count = 0;

  constructor(options: { maxSeries: number; clock: Clock; onDropped: () => void }) {
    this.maxSeries = options.maxSeries;
    this.clock = options.clock;
    this.onDropped = options.onDropped;
  }

  /** The series of one more metric. */
  family(options: FamilyOptions): Family {
    const family = new Family(this, options);
    this.#families.push(family);
    return family;
  }

  /** Before a scrape: everything is written, and what nobody touches any more goes. */
  settle(): void {
    const now = this.clock.monotonic();
    for (const family of this.#families) family.settle(now);
  }
}

export interface FamilyOptions {
  readonly names: readonly string[];
  /** In ms; `undefined`: kept for ever. */
  readonly idleAfterMs: number | undefined;
  readonly remove: (labels: Record<string, string>) => void;
}

interface Series {
  readonly labels: SeriesLabels;
  touchedAt: number;
  readonly holders: Set<SeriesHolder>;
}

/** The series of one metric, and when each was last touched. */
export class Family {
  readonly names: readonly string[];
  readonly #book: SeriesBook;
  readonly #idleAfterMs: number | undefined;
  readonly #remove: (labels: Record<string, string>) => void;
  readonly #series = new Map<string, Series>();

  constructor(book: SeriesBook, { names, idleAfterMs, remove }: FamilyOptions) {
    this.names = names;
    this.#book = book;
    this.#idleAfterMs = idleAfterMs;
    this.#remove = remove;
  }

  /** Whether the series may be written to: it exists, or there was room for it. */
  touch(labels: SeriesLabels): boolean {
    return this.#find(labels) !== undefined;
  }

  /** As {@link touch}; from now on the holder is asked before each scrape, and told when the series has gone. */
  claim(labels: SeriesLabels, holder: SeriesHolder): boolean {
    const series = this.#find(labels);
    series?.holders.add(holder);
    return series !== undefined;
  }

  forget(labels: SeriesLabels): void {
    const key = this.#keyOf(labels);
    const series = this.#series.get(key);
    if (series === undefined) return;
    this.#series.delete(key);
    this.#book.count -= 1;
    for (const holder of series.holders) holder.evicted();
    this.#remove({ ...labels });
  }

  settle(now: number): void {
    for (const series of this.#series.values()) {
      for (const holder of series.holders) if (holder.settle()) series.touchedAt = now;
      if (this.#idleAfterMs !== undefined && now - series.touchedAt > this.#idleAfterMs) this.forget(series.labels);
    }
  }

  #find(labels: SeriesLabels): Series | undefined {
    const key = this.#keyOf(labels);
    const known = this.#series.get(key);
    if (known !== undefined) {
      if (this.#idleAfterMs !== undefined) known.touchedAt = this.#book.clock.monotonic();
      return known;
    }
    if (this.#book.count >= this.#book.maxSeries) {
      this.#book.onDropped();
      return undefined;
    }
    const series = { labels: { ...labels }, touchedAt: this.#book.clock.monotonic(), holders: new Set<SeriesHolder>() };
    this.#series.set(key, series);
    this.#book.count += 1;
    return series;
  }

  #keyOf(labels: SeriesLabels): string {
    return this.names.map((name) => labels[name]).join('\0');
  }
}
