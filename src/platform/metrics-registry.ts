import { Counter, Gauge, Registry, collectDefaultMetrics, type Histogram } from 'prom-client';
import { systemClock, type Clock } from './clock.ts';
import { HistogramTable } from './metrics-histogram.ts';
import { HeldObservations, HeldSum } from './held-series.ts';
import { SeriesBook, type Family, type SeriesLabels } from './series-book.ts';

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

/** One series of a counter or gauge, looked up once, for whoever touches it very often. */
export interface SumSeries {
  /** By how much; of a counter 0 or more. */
  add(amount: number): void;
  /** Whether it is one of the series that there are: it has been used, found room, and was not evicted since. */
  readonly live: boolean;
}
/** One series of a histogram, likewise. */
export interface ObservationSeries extends Pick<SumSeries, 'live'> {
  observe(value: number): void;
}

export interface CounterMetric<Labels extends LabelSets> {
  /** By how much, 0 or more; default 1. */
  add(...args: Arguments<Labels, [amount?: number]>): void;
  /** It may be kept for ever: it counts towards the cap from its first use, and again after it was evicted as idle. */
  series(labels: LabelValues<Labels>): SumSeries;
}
export interface GaugeMetric<Labels extends LabelSets> {
  set(...args: Arguments<Labels, [value: number]>): void;
  /** By how much, may be negative. */
  add(...args: Arguments<Labels, [amount: number]>): void;
  /** As {@link CounterMetric.series}; it is not idle while it stands at something else than 0. */
  series(labels: LabelValues<Labels>): SumSeries;
  /** Removes one series, for a thing that is gone. */
  remove(...args: Arguments<Labels, []>): void;
}
export interface HistogramMetric<Labels extends LabelSets> {
  observe(...args: Arguments<Labels, [value: number]>): void;
  /** As {@link CounterMetric.series}. */
  series(labels: LabelValues<Labels>): ObservationSeries;
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
/** How often the delay of the event loop is sampled, ms. With the usual 10 an idle process wakes up a hundred times a second. */
const LAG_SAMPLED_EVERY_MS = 100;
const NO_LABELS: SeriesLabels = Object.freeze({});

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
  if (defaultMetrics) {
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_SAMPLED_EVERY_MS });
  }

  const configure = ({ name, help, labels = {} }: MetricOptions<LabelSets>) => ({
    name: PREFIX + name,
    help,
    labelNames: Object.keys(labels),
    registers,
  });

  const familyOf = ({ labels = {}, idleAfterMs }: MetricOptions<LabelSets>, remove: (labels: SeriesLabels) => void) => {
    const family = series.family({ names: Object.keys(labels), idleAfterMs, remove });
    // A metric without labels is shown as 0 from the start.
    if (family.names.length === 0) family.touch(NO_LABELS);
    return family;
  };

  return {
    counter(options) {
      if (!options.name.endsWith('_total')) throw new RangeError(`the counter ${options.name} must end in _total`);
      const metric = new Counter(configure(options));
      const family = familyOf(options, (labels) => metric.remove(labels));
      return {
        add: (...args: unknown[]) => {
          const { labels, value } = split(family, args);
          if (family.touch(labels)) metric.inc(labels, value ?? 1);
        },
        series: (labels) => heldSum(family, metric, labels as SeriesLabels),
      };
    },
    gauge(options) {
      const metric = new Gauge(configure(options));
      const family = familyOf(options, (labels) => metric.remove(labels));
      return {
        set: (...args: unknown[]) => {
          const { labels, value = Number.NaN } = split(family, args);
          if (family.touch(labels)) metric.set(labels, value);
        },
        add: (...args: unknown[]) => {
          const { labels, value = Number.NaN } = split(family, args);
          if (family.touch(labels)) metric.inc(labels, value);
        },
        series: (labels) => heldSum(family, metric, labels as SeriesLabels),
        remove: (...args: unknown[]) => family.forget(split(family, args).labels),
      };
    },
    histogram(options) {
      const { name, help, labelNames } = configure(options);
      const table = new HistogramTable({ name, help, buckets: options.buckets });
      // The registry asks a metric for its name and values, no more; its declared type wants one of its own classes.
      registry.registerMetric(table as unknown as Histogram);
      const family = familyOf(options, (labels) => table.remove(labels));
      if (labelNames.length === 0) table.at(NO_LABELS);
      return {
        observe: (...args: unknown[]) => {
          const { labels, value = Number.NaN } = split(family, args);
          if (family.touch(labels)) table.at(labels).observe(value);
        },
        series: (given) => {
          const labels = given as SeriesLabels;
          return new HeldObservations({ family, labels, at: () => table.at(labels) });
        },
      };
    },
    render: () => {
      series.settle();
      return registry.metrics();
    },
    contentType: registry.contentType,
    get seriesCount() {
      return series.count;
    },
  };
}

function heldSum(family: Family, metric: Counter | Gauge, labels: SeriesLabels): SumSeries {
  return new HeldSum({
    family,
    labels,
    isLevel: metric instanceof Gauge,
    write: (amount) => metric.inc(labels, amount),
  });
}

function split(family: Family, args: readonly unknown[]): { labels: SeriesLabels; value?: number } {
  const [labels, value] = family.names.length > 0 ? args : [NO_LABELS, args[0]];
  return {
    labels: labels as SeriesLabels,
    ...(typeof value === 'number' && { value }),
  };
}
