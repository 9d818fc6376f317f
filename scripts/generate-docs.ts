/**
 * Writes the reference pages and JSON Schemas under docs/reference from the code that they describe, and into the pages
 * under docs/recipes the programs that they show.
 *
 * `--check` writes nothing and fails, naming the file, when a page is not what the code says.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toJsonSchema } from '@valibot/to-json-schema';
import { format, resolveConfig } from 'prettier';
import { AuthorityConfigSchema, AUTHORITY_ENV_PREFIX } from '../src/authority/config.ts';
import { createAuthorityMetrics } from '../src/authority/authority-metrics.ts';
import { inferenceConfigSchema, INFERENCE_ENV_PREFIX } from '../src/inference/config.ts';
import { createInferenceMetrics } from '../src/inference/inference-metrics.ts';
import { JOIN_REFUSALS } from '../src/domain/join-refusals.ts';
import { MESH_ERRORS } from '../src/domain/mesh-error.ts';
import { REJECTIONS } from '../src/domain/rejection.ts';
import type { LabelSets, MetricsRegistry } from '../src/platform/metrics-registry.ts';
import { sidecarConfigSchema, SIDECAR_ENV_PREFIX } from '../src/sidecar/config.ts';
import { createSidecarMetrics } from '../src/sidecar/sidecar-metrics.ts';
import { recipePages } from './recipe-pages.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'docs/reference');
const GENERATED = '<!-- Generated from the code by `npm run docs:generate`. Do not edit. -->\n';

interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly additionalProperties?: JsonSchema | boolean;
}

interface MetricRow {
  readonly type: string;
  readonly name: string;
  readonly help: string;
  readonly labels: LabelSets;
}

function rejectionCodes(): string {
  const rows = Object.entries(REJECTIONS).map(
    ([code, row]) => `### ${code}

${row.meaning}

**What to do:** ${row.action}

| arises | the peer is told | gRPC | HTTP |
| --- | --- | --- | --- |
| ${row.phase} | \`${row.wire}\` | ${row.grpc} | ${row.http} |
`,
  );
  return `${GENERATED}
# Rejection codes

Every reason for which a sidecar refuses or ends anything. The code is the label in \`ait_exchanges_total\`,
\`ait_sessions_terminated_total\` and \`ait_connections_refused_total\`, and the field \`code\` of the log line. The peer
learns only the coarse reason and the correlation id; \`ait explain\` tells the operator the rest.

Codes that arise in *admission* stand here in the order of its checks: the first that fails is the reason.

${rows.join('\n')}`;
}

function errorCodes(): string {
  const rows = Object.entries(MESH_ERRORS).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${GENERATED}
# Error codes

What commands and processes fail with. A refused peer is not an error: see [rejection codes](rejection-codes.md).

| code | meaning |
| --- | --- |
${rows.map(([code, meaning]) => `| \`${code}\` | ${meaning} |`).join('\n')}

## When the authority does not let an instance in

The code stands in \`join_refused\` of the authority's log, in \`ait_joins_total\`, and in what the sidecar says
(\`JOIN_REFUSED\` or \`join_failed\`).

| code | meaning | what to do |
| --- | --- | --- |
${Object.entries(JOIN_REFUSALS)
  .map(([code, { meaning, action }]) => `| \`${code}\` | ${meaning} | ${action} |`)
  .join('\n')}
`;
}

/** A registry that counts nothing and writes down what it is asked for. */
function recordingRegistry(rows: MetricRow[]): MetricsRegistry {
  const record = (type: string) => (options: { name: string; help: string; labels?: LabelSets }) => {
    rows.push({ type, name: `ait_${options.name}`, help: options.help, labels: options.labels ?? {} });
    const nothing = () => undefined;
    const touched = { add: nothing, set: nothing, remove: nothing, observe: nothing, live: false };
    return { ...touched, series: () => touched };
  };
  return {
    counter: record('counter'),
    gauge: record('gauge'),
    histogram: record('histogram'),
    render: () => Promise.resolve(''),
    contentType: '',
    seriesCount: 0,
  };
}

function metrics(): string {
  const section = (title: string, register: (registry: MetricsRegistry) => unknown): string => {
    const rows: MetricRow[] = [];
    register(recordingRegistry(rows));
    const table = rows.map(
      ({ type, name, help, labels }) => `| \`${name}\` | ${type} | ${labelText(labels)} | ${help} |`,
    );
    return `## ${title}\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n${table.join('\n')}\n`;
  };
  return `${GENERATED}
# Metrics

Served as OpenMetrics at \`/metrics\`, beside Node's own \`process_*\` and \`nodejs_*\`. Labels are closed sets or come from
configuration and signed state, never from the wire; a peer nobody configured counts as \`other\`. At most 500 series a
process; what would exceed them is counted in \`ait_metric_series_dropped_total\`.

${section('Sidecar', createSidecarMetrics)}
${section('Authority', createAuthorityMetrics)}
${section('Inference service', createInferenceMetrics)}`;
}

function labelText(labels: LabelSets): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return '–';
  return entries
    .map(([name, values]) => {
      if (values === 'configured') return `\`${name}\``;
      return values.length > 10 ? `\`${name}\` (see the codes)` : `\`${name}\` (${values.join(', ')})`;
    })
    .join('<br>');
}

function configuration(title: string, schema: JsonSchema, { prefix, file }: { prefix: string; file: string }): string {
  const rows: string[] = [];
  walk(schema, '', rows);
  return `${GENERATED}
# ${title}

A YAML file; over it environment variables (\`${prefix}\` and the path in upper case, \`__\` between levels:
\`${prefix}LOG_LEVEL\`), over those the command's flags. All problems are reported at once (\`--check-config\`); a key that
is not listed here is one. JSON Schema: [${file}](${file}).

| setting | type | required | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

function walk(schema: JsonSchema, path: string, rows: string[]): void {
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const here = path === '' ? name : `${path}.${name}`;
    const required = schema.required?.includes(name) === true ? 'yes' : '';
    const text = (member.description ?? '').replaceAll('|', '\\|');
    rows.push(`| \`${here}\` | ${typeText(member)} | ${required} | ${text} |`);
    walk(member, here, rows);
    if (member.items !== undefined) walk(member.items, `${here}[]`, rows);
    for (const alternative of member.anyOf ?? []) walk(alternative, here, rows);
  }
}

function typeText(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeText))].join(' or ');
  if (schema.type === 'array') return `list of ${typeText(schema.items ?? {})}`;
  return schema.type ?? '';
}

function schemaOf(schema: Parameters<typeof toJsonSchema>[0]): JsonSchema {
  return toJsonSchema(schema, { typeMode: 'input', errorMode: 'ignore' }) as JsonSchema;
}

const sidecar = schemaOf(sidecarConfigSchema);
const authority = schemaOf(AuthorityConfigSchema);
const inference = schemaOf(inferenceConfigSchema);
const pages: Readonly<Record<string, string>> = {
  'rejection-codes.md': rejectionCodes(),
  'error-codes.md': errorCodes(),
  'metrics.md': metrics(),
  'sidecar-config.schema.json': JSON.stringify(sidecar),
  'sidecar-config.md': configuration('Configuration of `ait sidecar`', sidecar, {
    prefix: SIDECAR_ENV_PREFIX,
    file: 'sidecar-config.schema.json',
  }),
  'authority-config.schema.json': JSON.stringify(authority),
  'authority-config.md': configuration('Configuration of `ait authority`', authority, {
    prefix: AUTHORITY_ENV_PREFIX,
    file: 'authority-config.schema.json',
  }),
  'inference-config.schema.json': JSON.stringify(inference),
  'inference-config.md': configuration('Configuration of `ait inference`', inference, {
    prefix: INFERENCE_ENV_PREFIX,
    file: 'inference-config.schema.json',
  }),
};

mkdirSync(folder, { recursive: true });
let stale = 0;
const reference = Object.entries(pages).map(([name, text]) => [`docs/reference/${name}`, text] as const);
for (const [name, text] of [...reference, ...Object.entries(recipePages())]) {
  const path = join(root, name);
  const formatted = await format(text, { ...(await resolveConfig(path)), filepath: path });
  if (!process.argv.includes('--check')) {
    writeFileSync(path, formatted);
    continue;
  }
  if (readFileSync(path, 'utf8') === formatted) continue;
  stale += 1;
  console.error(`${name} is not what the code says; run \`npm run docs:generate\``);
}
process.exitCode = stale > 0 ? 1 : 0;
