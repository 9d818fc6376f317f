import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { writeBaseline } from '../../src/cli/baseline/baseline-file.ts';
import { loadMeasureConfig, measureOnce } from '../../src/cli/baseline/measure-once.ts';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import { Child, temporaryFolder, type LogRecord } from './children.ts';

const TRUST_DOMAIN = 'bench.example';
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const AIT = join(root, 'dist/ait.mjs');
const SPONSOR = { id: 'u-bench', name: 'Whoever runs the benchmark', email: 'bench@bench.example' };

/** A prompt, three tools and a model: what small agents look like. */
const PROMPT = `You are a careful agent.\n${'Answer from the documents you were given, and cite them.\n'.repeat(40)}`;
const TOOLS = ['search', 'fetch', 'summarise'].map((name) => ({
  name,
  description: `To ${name} documents.`,
  inputSchema: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
}));

export interface AgentFiles {
  readonly name: string;
  readonly folder: string;
  readonly prompt: string;
  readonly credential: string;
}

/** A real authority in a process of its own, and what its agents' sidecars need on disk. */
export class BenchMesh {
  readonly folder = temporaryFolder();
  #authority: Child | undefined;
  #ready: LogRecord = {};

  /** Approves what the agents have, and starts the authority. `grants`: who may call whom. */
  async start(agents: readonly string[], grants: Readonly<Record<string, readonly string[]>>): Promise<void> {
    if (!existsSync(AIT)) throw new Error('dist/ait.mjs is missing: npm run build');
    mkdirSync(join(this.folder, 'policy'));
    for (const name of agents) {
      const { folder, prompt } = this.agent(name);
      mkdirSync(folder);
      writeFileSync(prompt, PROMPT);
      writeFileSync(join(folder, 'tools.json'), JSON.stringify(TOOLS));
      writeFileSync(join(folder, 'measure.yaml'), stringify({ measure: measureSection(folder) }));
      this.writePolicy(name, { kind: 'Agent', id: name, sponsor: SPONSOR, lifecycle: 'active' });
      const { measurement } = await measureOnce(loadMeasureConfig(join(folder, 'measure.yaml')));
      const baseline = writeBaseline({
        agent: name,
        approvedBy: 'bench',
        approvedAt: '2026-01-31T12:00:00Z',
        minimumAssurance: {},
        digests: measurement,
      });
      this.writePolicy(`${name}-baseline`, baseline.text);
    }
    for (const [from, to] of Object.entries(grants)) {
      this.writePolicy(`${from}-grant`, { kind: 'Grant', from, to: [...to] });
    }
    await this.startAuthority();
    for (const name of agents) {
      const body = { agent: name, uses: 100_000 };
      const answer = await askAuthority(
        { admin: this.adminSocket },
        { method: 'POST', path: '/join-credentials', body },
      );
      writeFileSync(this.agent(name).credential, (answer as { credential: string }).credential, { mode: 0o600 });
    }
  }

  /** The authority's process, the newest if there were several. */
  get authority(): Child {
    if (this.#authority === undefined) throw new Error('the authority was not started');
    return this.#authority;
  }

  get adminSocket(): string {
    return join(this.folder, 'authority', 'admin.sock');
  }

  /** Where the authority serves `/metrics`, `host:port`. */
  get authorityMetrics(): string {
    return String(this.#ready['metrics_listen']);
  }

  /** Starts the authority, for the first time or once more: on the same port and with the same state. */
  async startAuthority(): Promise<void> {
    const listen = (this.#ready['listen'] as string | undefined) ?? '127.0.0.1:0';
    // To profile it: `--cpu-prof --cpu-prof-dir=…`.
    const flags = process.env['BENCH_AUTHORITY_NODE_FLAGS']?.split(' ') ?? [];
    this.#authority = new Child(
      [process.execPath, ...flags, AIT, 'authority', '--trust-domain', TRUST_DOMAIN, '--listen', listen,
        '--metrics-listen', '127.0.0.1:0', '--operators-listen', '127.0.0.1:0', '--state-dir',
        join(this.folder, 'authority'), '--policy-dir', join(this.folder, 'policy'), '--log-level', 'info'], this.folder); // prettier-ignore
    this.#ready = await this.#authority.event('authority_ready');
  }

  /** Puts a document into the policy directory, whole at one moment: the directory never holds half of it. */
  writePolicy(name: string, document: string | object): void {
    const draft = join(this.folder, 'policy-draft');
    writeFileSync(draft, typeof document === 'string' ? document : stringify(document));
    renameSync(draft, join(this.folder, 'policy', `${name}.yaml`));
  }

  agent(name: string): AgentFiles {
    const folder = join(this.folder, name);
    return { name, folder, prompt: join(folder, 'prompt.txt'), credential: join(folder, 'join.credential') };
  }

  /** Writes a sidecar's configuration. @returns the file. */
  sidecarConfig(name: string, more: object, instance = name): string {
    const { folder, credential } = this.agent(name);
    const config = {
      state_dir: join(folder, `state-${instance}`),
      authority: { join_credential: credential },
      inbound: { listen: '127.0.0.1:0' },
      metrics: { listen: '127.0.0.1:0' },
      measure: measureSection(folder),
      timing: { drain: '0s' },
      ...more,
    };
    const file = join(folder, `${instance}.yaml`);
    writeFileSync(file, stringify(config));
    return file;
  }

  async stop(): Promise<void> {
    await this.#authority?.stop();
  }
}

/** `ait`, as users start it. */
export function aitCommand(args: readonly string[]): [string, ...string[]] {
  return [process.execPath, AIT, ...args];
}

/** The sidecar as users start it. */
export function sidecarCommand(config: string): [string, ...string[]] {
  // To profile it: `--cpu-prof --cpu-prof-dir=…`.
  const flags = process.env['BENCH_SIDECAR_NODE_FLAGS']?.split(' ') ?? [];
  return [process.execPath, ...flags, AIT, 'sidecar', '--config', config];
}

/** The line `sidecar_ready`. */
export type SidecarRecord = Readonly<Record<string, unknown>>;

/** Local address of the peer's outbound listener, out of `sidecar_ready`. */
export function peerListen(record: SidecarRecord, name: string): string {
  const peers = record['peers'] as readonly { agent: string; listen: string }[];
  const found = peers.find(({ agent }) => agent.endsWith(`/agent/${name}`));
  if (found === undefined) throw new Error(`the sidecar does not listen for ${name}`);
  return found.listen;
}

function measureSection(folder: string): object {
  return {
    system_prompt: { main: join(folder, 'prompt.txt') },
    knowledge_base: 'not_applicable',
    model: { provider: 'bench', id: 'bench-large', version: '2026-01' },
    tools: { manifest: join(folder, 'tools.json') },
  };
}
