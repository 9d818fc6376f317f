import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { systemClock, type Clock } from './clock.ts';

/**
 * The label names of a metric and what each may say: a list is a closed set, known when the code is compiled;
 * `configured` is a set known when the process starts (peers, models). Nothing that arrives from the network is ever a
 * label value: who has such a value decides what it counts as (usually `other`) before it comes here.
 */
export type LabelSets = Readonly<Record<string, readonly string[] | 'configured'>>;

export type LabelValues<Labels extends LabelSets> = {
  readonly [Name in keyof Labels]: Labels[Name] extends readonly (infer Value)[] ? Value : string;
};

interface MetricOptions<Labels extends LabelSets> {
  /** Without the prefix `ait_`; ends in its unit (`_seconds`, `_bytes`); a counter's ends in `_total`. */
  readonly name: string;
  /** One sentence for the person who meets it in a dashboard. */
  readonly help: string;
  /** Default: none. */
  readonly labels?: Labels;
  /** Series not touched for so long are removed, in ms; only while labels are `configured`. Default: kept. */
  readonly idleAfterMs?: number;
}

export interface HistogramOptions<Labels extends LabelSets> extends MetricOptions<Labels> {
  /** Upper bounds in the metric's unit, ascending; `+Inf` is added. */
  readonly buckets: readonly number[];
}

/** A metric without labels is called with the value alone. */
type Arguments<Labels extends LabelSets, Value extends readonly unknown[]> = keyof Labels extends never
  ? [...value: Value]
  : [labels: LabelValues<Labels>, ...value: Value];

export interface CounterMetric<Labels extends LabelSets> {
  /** By how much, 0 or more; default 1. */
  add(...args: Arguments<Labels, [amount?: number]>): void;
}
export interface GaugeMetric<Labels extends LabelSets> {
  set(...args: Arguments<Labels, [value: number]>): void;
  /** By how much, may be negative. */
  add(...args: Arguments<Labels, [amount: number]>): void;
  /** Removes one series, for a thing that is gone. */
  remove(...args: Arguments<Labels, []>): void;
}
export interface HistogramMetric<Labels extends LabelSets> {
  observe(...args: Arguments<Labels, [value: number]>): void;
}

/** Where the metrics of one process live. */
export interface MetricsRegistry {
  counter<const Labels extends LabelSets = Record<never, never>>(options: MetricOptions<Labels>): CounterMetric<Labels>;
  gauge<const Labels extends LabelSets = Record<never, never>>(options: MetricOptions<Labels>): GaugeMetric<Labels>;
  histogram<const Labels extends LabelSets = Record<never, never>>(
    options: HistogramOptions<Labels>,
  ): HistogramMetric<Labels>;
  /** The text of a scrape, in OpenMetrics 1.0. */
  render(): Promise<string>;
  /** Its media type. */
  readonly contentType: string;
  /** How many series of `ait_` metrics there are: label sets, a histogram's counting once. */
  readonly seriesCount: number;
}

export interface RegistryOptions {
  /** Hard cap on series; beyond it new ones are dropped and counted, old ones live on. Default 500. */
  readonly maxSeries?: number;
  /** Node's own metrics (`process_…`, `nodejs_…`), under the names that dashboards know. Default true. */
  readonly defaultMetrics?: boolean;
  readonly clock?: Clock;
}

const PREFIX = 'ait_';
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});

/** @returns an empty registry. Every process, and every test, has its own. */
export function createRegistry(options: RegistryOptions = {}): MetricsRegistry {
  const { maxSeries = 500, defaultMetrics = true, clock = systemClock } = options;
  // The declared types of prom-client tie the content type to the class, but its registry can be told at any time.
  const registry = new Registry();
  (registry as unknown as Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>).setContentType(
    Registry.OPENMETRICS_CONTENT_TYPE,
  );
  const registers = [registry];
  const dropped = new Counter({
    name: `${PREFIX}metric_series_dropped_total`,
    help: 'Observations that were not counted because the cap on series was reached.',
    registers,
  });
  const series = new SeriesBook({ maxSeries, clock, onDropped: () => dropped.inc() });
  if (defaultMetrics) collectDefaultMetrics({ register: registry });

  const configure = ({ name, help, labels = {} }: MetricOptions<LabelSets>) => ({
    name: PREFIX + name,
    help,
    labelNames: Object.keys(labels),
    registers,
  });

  return {
    counter(options) {
      if (!options.name.endsWith('_total')) throw new RangeError(`the counter ${options.name} must end in _total`);
      const metric = new Counter(configure(options));
      const family = series.family(options, (labels) => metric.remove(labels));
      return {
        add: (...args: unknown[]) => {
          const { labels, value } = split(family, args);
          if (family.touch(labels)) metric.inc(labels, value ?? 1);
        },
      };
    },
    gauge(options) {
      const metric = new Gauge(configure(options));
      const family = series.family(options, (labels) => metric.remove(labels));
      return {
        set: (...args: unknown[]) => {
          const { labels, value = Number.NaN } = split(family, args);
          if (family.touch(labels)) metric.set(labels, value);
        },
        add: (...args: unknown[]) => {
          const { labels, value = Number.NaN } = split(family, args);
          if (family.touch(labels)) metric.inc(labels, value);
        },
        remove: (...args: unknown[]) => family.forget(split(family, args).labels),
      };
    },
    histogram(options) {
      const metric = new Histogram({ ...configure(options), buckets: [...options.buckets] });
      const family = series.family(options, (labels) => metric.remove(labels));
      return {
        observe: (...args: unknown[]) => {
          const { labels, value = Number.NaN } = split(family, args);
          if (family.touch(labels)) metric.observe(labels, value);
        },
      };
    },
    render: () => {
      series.evictIdle();
      return registry.metrics();
    },
    contentType: registry.contentType,
    get seriesCount() {
      return series.count;
    },
  };
}

function split(family: Family, args: readonly unknown[]): { labels: Readonly<Record<string, string>>; value?: number } {
  const [labels, value] = family.names.length > 0 ? args : [NO_LABELS, args[0]];
  return {
    labels: labels as Readonly<Record<string, string>>,
    ...(typeof value === 'number' && { value }),
  };
}

/** The series of all metrics of one registry, so that the cap is one cap. */
class SeriesBook {
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

  family(options: MetricOptions<LabelSets>, remove: (labels: Record<string, string>) => void): Family {
    const family = new Family(this, {
      names: Object.keys(options.labels ?? {}),
      idleAfterMs: options.idleAfterMs,
      remove,
    });
    this.#families.push(family);
    // prom-client shows a metric without labels as 0 from the start.
    if (family.names.length === 0) family.touch(NO_LABELS);
    return family;
  }

  evictIdle(): void {
    for (const family of this.#families) family.evictIdle(this.clock.monotonic());
  }
}

interface FamilyOptions {
  readonly names: readonly string[];
  readonly idleAfterMs: number | undefined;
  readonly remove: (labels: Record<string, string>) => void;
}

/** The series of one metric, and when each was last touched. */
class Family {
  readonly names: readonly string[];
  readonly #book: SeriesBook;
  readonly #idleAfterMs: number | undefined;
  readonly #remove: (labels: Record<string, string>) => void;
  readonly #series = new Map<string, { readonly labels: Readonly<Record<string, string>>; touchedAt: number }>();

  constructor(book: SeriesBook, { names, idleAfterMs, remove }: FamilyOptions) {
    this.names = names;
    this.#book = book;
    this.#idleAfterMs = idleAfterMs;
    this.#remove = remove;
  }

  /** Whether the series may be written to: it exists, or there was room for it. */
  touch(labels: Readonly<Record<string, string>>): boolean {
    const key = this.#keyOf(labels);
    const known = this.#series.get(key);
    if (known !== undefined) {
      if (this.#idleAfterMs !== undefined) known.touchedAt = this.#book.clock.monotonic();
      return true;
    }
    if (this.#book.count >= this.#book.maxSeries) {
      this.#book.onDropped();
      return false;
    }
    this.#series.set(key, { labels: { ...labels }, touchedAt: this.#book.clock.monotonic() });
    this.#book.count += 1;
    return true;
  }

  forget(labels: Readonly<Record<string, string>>): void {
    if (!this.#series.delete(this.#keyOf(labels))) return;
    this.#book.count -= 1;
    this.#remove({ ...labels });
  }

  evictIdle(now: number): void {
    if (this.#idleAfterMs === undefined) return;
    for (const { labels, touchedAt } of this.#series.values()) {
      if (now - touchedAt > this.#idleAfterMs) this.forget(labels);
    }
  }

  #keyOf(labels: Readonly<Record<string, string>>): string {
    return this.names.map((name) => labels[name]).join('\0');
  }
}
