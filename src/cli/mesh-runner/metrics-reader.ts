/** Labels that a series must have, at least. */
export type Labels = Readonly<Record<string, string>>;

const SERIES = /^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

/** The sum of all series of one metric that have these labels, in Prometheus text format; 0 if there is none. */
export function sumOf(exposition: string, metric: string, labels: Labels = {}): number {
  let sum = 0;
  for (const line of exposition.split('\n')) {
    const [, name, text = '', value] = SERIES.exec(line) ?? [];
    if (name !== metric || value === undefined) continue;
    const has = new Map([...text.matchAll(LABEL)].map(([, label, content]) => [label, content]));
    if (Object.entries(labels).every(([label, wanted]) => has.get(label) === wanted)) sum += Number(value);
  }
  return sum;
}

/** @param address `host:port` of a metrics listener. */
export async function fetchMetrics(address: string): Promise<string> {
  const response = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(5_000) });
  return await response.text();
}
