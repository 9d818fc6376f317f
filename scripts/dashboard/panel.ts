/** One question, its answer, and where to read on. */
export interface Panel {
  readonly title: string;
  /** For whoever sees it for the first time at three in the morning: what it shows, and what is bad. */
  readonly description: string;
  readonly kind: 'stat' | 'timeseries' | 'bars' | 'table';
  readonly queries: readonly Query[];
  /** Heading in docs/sre.md. */
  readonly runbook: string;
  /** Of Grafana; default `short`. */
  readonly unit?: string;
  /** Columns of 24. */
  readonly width: number;
  /** From here on it is orange, and from there on red; with `below`, the other way round. */
  readonly warn?: number;
  readonly bad?: number;
  readonly below?: true;
}

export interface Query {
  readonly expr: string;
  /** Of a line: text with `{{label}}`. */
  readonly legend: string;
}

export interface Row {
  readonly title: string;
  readonly height: number;
  readonly panels: readonly Panel[];
}

export interface Annotation {
  readonly name: string;
  readonly expr: string;
  readonly title: string;
  readonly color: string;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
  readonly annotations: readonly Annotation[];
}

/** What every query is about, but for the authority's own: the variables at the top of the dashboard. */
export function of(metric: string, labels = ''): string {
  return `${metric}{job=~"$job", agent=~"$agent"${labels === '' ? '' : `, ${labels}`}}`;
}

/**
 * By how much a counter grew. A series that appears with its first value has no increase; that one is counted whole.
 *
 * @param series a selector
 */
export function gained(series: string, window: string): string {
  return `(${series} unless ${series} offset ${window}) or increase(${series}[${window}])`;
}
