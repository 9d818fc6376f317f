/** Series that are looked up once: what a call touches a hundred thousand times a second hashes no labels each time. */
import type { Family, SeriesHolder, SeriesLabels } from './series-book.ts';

/** One series of a counter, or of a gauge. What is added comes together here, and is written before a scrape. */
export class HeldSum implements SeriesHolder {
  readonly #family: Family;
  readonly #labels: SeriesLabels;
  readonly #isLevel: boolean;
  readonly #write: (amount: number) => void;
  #claimed = false;
  #total = 0;
  #written = 0;
  #shown = false;

  /** @param isLevel of a gauge: it also goes down, so that what found no room is kept and told once there is some. */
  constructor(options: {
    readonly family: Family;
    readonly labels: SeriesLabels;
    readonly isLevel: boolean;
    readonly write: (amount: number) => void;
  }) {
    this.#family = options.family;
    this.#labels = options.labels;
    this.#isLevel = options.isLevel;
    this.#write = options.write;
  }

  get live(): boolean {
    return this.#claimed;
  }

  add(amount: number): void {
    if (!this.#claimed && !this.#claim() && !this.#isLevel) return;
    this.#total += amount;
  }

  settle(): boolean {
    const amount = this.#total - this.#written;
    // A level that is back at 0 is shown, too.
    if (amount !== 0 || !this.#shown) this.#write(amount);
    this.#shown = true;
    this.#written = this.#total;
    return amount !== 0 || (this.#isLevel && this.#total !== 0);
  }

  evicted(): void {
    this.#claimed = this.#shown = false;
    this.#total = this.#written = 0;
  }

  #claim(): boolean {
    this.#claimed = this.#family.claim(this.#labels, this);
    return this.#claimed;
  }
}

/** One series of a histogram. */
export class HeldObservations implements SeriesHolder {
  readonly #family: Family;
  readonly #labels: SeriesLabels;
  readonly #at: () => { observe(value: number): void };
  #into: { observe(value: number): void } | undefined;
  #touched = false;

  constructor(options: {
    readonly family: Family;
    readonly labels: SeriesLabels;
    /** Where observations go, once there is room for the series. */
    readonly at: () => { observe(value: number): void };
  }) {
    this.#family = options.family;
    this.#labels = options.labels;
    this.#at = options.at;
  }

  get live(): boolean {
    return this.#into !== undefined;
  }

  observe(value: number): void {
    const into = this.#into ?? this.#claim();
    if (into === undefined) return;
    into.observe(value);
    this.#touched = true;
  }

  settle(): boolean {
    const touched = this.#touched;
    this.#touched = false;
    return touched;
  }

  evicted(): void {
    this.#into = undefined;
  }

  #claim(): { observe(value: number): void } | undefined {
    if (this.#family.claim(this.#labels, this)) this.#into = this.#at();
    return this.#into;
  }
}
