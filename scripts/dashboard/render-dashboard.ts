import type { Annotation, Dashboard, Panel, Row } from './panel.ts';

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const COLUMNS = 24;

/** The JSON that Grafana reads (schema 39, Grafana 10.4 and newer). Ids and places follow from the order. */
export function renderDashboard({ uid, title, description, rows, annotations }: Dashboard): object {
  return {
    uid,
    title,
    description,
    tags: ['ait-mesh'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    links: [{ title: 'Runbook', type: 'link', icon: 'doc', url: '${runbooks}', targetBlank: true }],
    annotations: { list: annotations.map(renderAnnotation) },
    templating: { list: VARIABLES },
    panels: placed(rows),
  };
}

const VARIABLES = [
  { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, hide: 0 },
  labelValues({ name: 'job', label: 'Job', query: 'label_values(ait_build_info, job)' }),
  labelValues({ name: 'agent', label: 'Agent', query: 'label_values(ait_build_info{job=~"$job"}, agent)' }),
  {
    name: 'runbooks',
    label: 'Where docs/sre.md is published',
    type: 'constant',
    query: 'https://git.example.com/ait-mesh/docs/sre.md',
    hide: 2,
  },
];

/** All of it is also what has no such label: the authority is no agent. */
function labelValues({ name, label, query }: { name: string; label: string; query: string }): object {
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    definition: query,
    includeAll: true,
    allValue: '.*',
    multi: true,
    current: { text: ['All'], value: ['$__all'] },
    refresh: 2,
    sort: 1,
  };
}

function renderAnnotation({ name, expr, title, color }: Annotation): object {
  const looks = { enable: true, iconColor: color, titleFormat: title, step: '15s' };
  return { name, datasource: DATASOURCE, expr, ...looks };
}

function placed(rows: readonly Row[]): object[] {
  const panels: object[] = [];
  let y = 0;
  for (const { title, height, panels: inRow } of rows) {
    const gridPos = { x: 0, y, w: COLUMNS, h: 1 };
    panels.push({ id: panels.length + 1, type: 'row', title, collapsed: false, gridPos, panels: [] });
    y += 1;
    let x = 0;
    for (const panel of inRow) {
      if (x + panel.width > COLUMNS) {
        x = 0;
        y += height;
      }
      panels.push(renderPanel(panel, { id: panels.length + 1, gridPos: { x, y, w: panel.width, h: height } }));
      x += panel.width;
    }
    y += height;
  }
  return panels;
}

function renderPanel(panel: Panel, place: { readonly id: number; readonly gridPos: object }): object {
  const { title, description, kind, queries, runbook } = panel;
  const instant = kind === 'stat' || kind === 'table';
  return {
    ...place,
    type: kind === 'bars' ? 'timeseries' : kind,
    title,
    description,
    datasource: DATASOURCE,
    targets: queries.map(({ expr, legend }, index) => ({
      refId: 'ABCDEFGH'.charAt(index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      instant,
      range: !instant,
      ...(kind === 'table' && { format: 'table' }),
    })),
    links: [{ title: `Runbook: ${runbook}`, url: `\${runbooks}#${runbook}`, targetBlank: true }],
    fieldConfig: { defaults: fieldDefaults(panel), overrides: [] },
    ...LOOKS[kind],
  };
}

function fieldDefaults({ kind, unit = 'short', warn, bad, below }: Panel): object {
  const [first, last] = below === true ? ['red', 'green'] : ['green', 'red'];
  const [low, high] = below === true ? [bad, warn] : [warn, bad];
  const steps = [
    { color: first, value: null },
    ...(low === undefined ? [] : [{ color: high === undefined ? last : 'orange', value: low }]),
    ...(high === undefined ? [] : [{ color: last, value: high }]),
  ];
  const custom = {
    ...(kind === 'timeseries' && { lineWidth: 2, fillOpacity: 5, showPoints: 'auto', spanNulls: false }),
    ...(kind === 'bars' && { drawStyle: 'bars', fillOpacity: 70, lineWidth: 0, stacking: { mode: 'normal' } }),
  };
  return { unit, min: 0, thresholds: { mode: 'absolute', steps }, custom };
}

const LINES = {
  options: {
    legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] },
    tooltip: { mode: 'multi', sort: 'desc' },
  },
};

const LOOKS = {
  stat: {
    options: {
      colorMode: 'background',
      graphMode: 'none',
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      textMode: 'auto',
    },
  },
  timeseries: LINES,
  bars: LINES,
  table: {
    options: { showHeader: true, sortBy: [{ displayName: 'Value', desc: true }] },
    transformations: [{ id: 'organize', options: { excludeByName: { Time: true } } }],
  },
} as const satisfies Record<Panel['kind'], object>;
