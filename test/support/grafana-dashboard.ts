import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** As far as tests look into it. */
export interface GrafanaPanel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
  readonly links?: readonly { readonly url: string }[];
}

export interface GrafanaDashboard {
  readonly uid: string;
  readonly panels: readonly GrafanaPanel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

export function readDashboard(): GrafanaDashboard {
  const path = fileURLToPath(new URL('../../deploy/grafana/ait-mesh.json', import.meta.url));
  return JSON.parse(readFileSync(path, 'utf8')) as GrafanaDashboard;
}

/** A query as Grafana would send it with everything selected, the last `range` shown and a step of 5 s. */
export function withVariables(query: string, range = '5m'): string {
  return query
    .replaceAll('$__rate_interval', '5s')
    .replaceAll('$__range', range)
    .replaceAll('$__interval', '5s')
    .replaceAll('$__from', '0')
    .replaceAll(/\$(job|agent)\b/g, '.*');
}
