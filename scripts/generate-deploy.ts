/**
 * Writes what under deploy/ follows from something else: the dashboard from scripts/dashboard, and for the example agents
 * the bundles and baselines of the Kubernetes manifests and of the Compose file from examples/.
 *
 * `--check` writes nothing and fails, naming the file, when one is not what it would write.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { Document, stringify } from 'yaml';
import { writeBaseline } from '../src/cli/baseline/baseline-file.ts';
import { loadMeasureConfig, measureOnce } from '../src/cli/baseline/measure-once.ts';
import { renderDashboard } from './dashboard/render-dashboard.ts';
import { DASHBOARD } from './dashboard/ait-mesh.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const AGENTS = ['planner', 'researcher'] as const;
/** What an agent's sidecar measures; its program stands beside and is not part of the bundle. */
const MEASURED = ['model.json', 'tools.json', 'prompts', 'knowledge'];
const APPROVAL = { approvedBy: 'ada@acme.example', approvedAt: '2026-01-31T12:00:00Z', id: 'example' } as const;
const GENERATED = ' Generated from examples/ by `npm run deploy:generate`. Do not edit.\n';

/** Files below a folder that an agent's bundle has, by path relative to it. */
function bundleOf(agent: string): Record<string, string> {
  const folder = join(root, 'examples', agent);
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => MEASURED.some((part) => name === part || name.startsWith(`${part}/`)))
    .toSorted();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

/** As `ait baseline build` makes it from a checkout. */
async function baselineOf(agent: string): Promise<string> {
  const folder = join(root, 'examples', agent);
  const scratch = mkdtempSync(join(tmpdir(), 'ait-deploy-'));
  try {
    const config = join(scratch, 'measure.yaml');
    const measure = {
      system_prompt: { main: join(folder, 'prompts/system.md') },
      knowledge_base: { manifest: join(folder, 'knowledge/manifest.json') },
      model: { file: join(folder, 'model.json') },
      tools: { manifest: join(folder, 'tools.json') },
    };
    writeFileSync(config, stringify({ measure }));
    const { measurement } = await measureOnce(loadMeasureConfig(config));
    const minimumAssurance = { system_prompt: 'at_rest', knowledge_base: 'at_rest', tools: 'at_rest' } as const;
    const { approvedBy, approvedAt, id } = APPROVAL;
    const given = { agent, id: `${agent}-${id}`, approvedBy, approvedAt, minimumAssurance, digests: measurement };
    return writeBaseline(given).text;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface ConfigMapInput {
  readonly name: string;
  readonly namespace: string;
  readonly data: Readonly<Record<string, string>>;
}

function configMap({ name, namespace, data }: ConfigMapInput): string {
  const document = new Document({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });
  document.commentBefore = GENERATED.trimEnd();
  return document.toString({ blockQuote: 'literal', lineWidth: 0 });
}

/** A key of a ConfigMap has no slashes; the volume's `items` put each file back where it belongs. */
function asKeys(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, text]) => [path.replaceAll('/', '.'), text]));
}

async function pages(): Promise<Record<string, string>> {
  const baselines = await Promise.all(AGENTS.map(async (agent) => [agent, await baselineOf(agent)] as const));
  const bundles = AGENTS.map((agent) => {
    const given = { name: `${agent}-bundle`, namespace: 'agents', data: asKeys(bundleOf(agent)) };
    return [`kubernetes/${agent}-bundle.yaml`, configMap(given)] as const;
  });
  return {
    'grafana/ait-mesh.json': JSON.stringify(renderDashboard(DASHBOARD), null, 2),
    ...Object.fromEntries(bundles),
    'kubernetes/baselines.yaml': configMap({
      name: 'ait-baselines',
      namespace: 'ait-system',
      data: Object.fromEntries(baselines.map(([agent, text]) => [`${agent}-baseline.yaml`, text])),
    }),
    ...Object.fromEntries(
      baselines.map(([agent, text]) => [`compose/policy/${agent}-baseline.yaml`, `#${GENERATED}${text}`]),
    ),
  };
}

let stale = 0;
for (const [name, text] of Object.entries(await pages())) {
  const path = join(root, 'deploy', name);
  const formatted = await format(text, { ...(await resolveConfig(path)), filepath: path });
  if (!process.argv.includes('--check')) {
    writeFileSync(path, formatted);
    continue;
  }
  if (readFileSync(path, 'utf8') === formatted) continue;
  stale += 1;
  console.error(`deploy/${name} is not what it is made from; run \`npm run deploy:generate\``);
}
process.exitCode = stale > 0 ? 1 : 0;
