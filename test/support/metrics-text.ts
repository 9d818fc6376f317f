/** One line of a scrape: `name{label="value"} number`. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \S+)?$/;

/** The samples of a scrape. @throws Error for a line that is none */
export function parseMetrics(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = LINE.exec(line) ?? [];
      if (name === undefined) throw new Error(`no sample: ${line}`);
      const pairs = [...labels.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [
        key,
        text,
      ]);
      return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) };
    });
}

/** What a series is to whoever stores it, a histogram counting once: the name and the labels but `le`. */
export function seriesOf(samples: readonly Sample[], histograms: ReadonlySet<string>): Set<string> {
  return new Set(
    samples.map(({ name, labels: { le: _le, ...labels } }) => {
      const base = name.replace(/_(bucket|sum|count)$/, '');
      return JSON.stringify([histograms.has(base) ? base : name, labels]);
    }),
  );
}
