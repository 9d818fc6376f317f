import type { SeriesLabels } from './series-book.ts';

interface MetricValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/**
 * The histograms of one name, as a registry of prom-client can show them. Its own hash labels and look up bounds by
 * their text at every observation; here that costs a few nanoseconds.
 */
export class HistogramTable {
  readonly name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Observations>();

  /** @param buckets upper bounds, ascending; `+Inf` is added. @throws RangeError when they are not ascending */
  constructor({ name, help, buckets }: { name: string; help: string; buckets: readonly number[] }) {
    if (buckets.some((bound, index) => !(bound > (buckets[index - 1] ?? -Infinity)) || bound === Infinity)) {
      throw new RangeError(`the buckets of ${name} must ascend and end below Infinity`);
    }
    this.name = name;
    this.#help = help;
    this.#bounds = buckets;
  }

  /** The series of these labels, which begins with nothing observed. */
  at(labels: SeriesLabels): Observations {
    const key = keyOf(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const series = new Observations({ ...labels }, this.#bounds);
    this.#series.set(key, series);
    return series;
  }

  remove(labels: SeriesLabels): void {
    this.#series.delete(keyOf(labels));
  }

  /** What a scrape shows; the name is prom-client's. */
  get(): { name: string; help: string; type: 'histogram'; aggregator: 'sum'; values: readonly MetricValue[] } {
    const values = [...this.#series.values()].flatMap((series) => series.values(this.name));
    return { name: this.name, help: this.#help, type: 'histogram', aggregator: 'sum', values };
  }
}

class Observations {
  readonly #labels: SeriesLabels;
  readonly #bounds: readonly number[];
  /** One for each bound, and one for what lies beyond the last. */
  readonly #counts: number[];
  #sum = 0;

  constructor(labels: SeriesLabels, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** @throws TypeError for what is no finite number: one of those would make the sum useless for good */
  observe(value: number): void {
    if (!Number.isFinite(value)) throw new TypeError(`${value} cannot be observed`);
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] ?? Infinity)) index += 1;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  values(name: string): MetricValue[] {
    let count = 0;
    const buckets = this.#counts.map((more, index) => {
      count += more;
      const le = this.#bounds[index] ?? '+Inf';
      return { metricName: `${name}_bucket`, labels: { le, ...this.#labels }, value: count };
    });
    const labels = { ...this.#labels };
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

function keyOf(labels: SeriesLabels): string {
  const names = Object.keys(labels).toSorted();
  return names.map((name) => `${name}\0${labels[name]}`).join('\0');
}
