import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { Child, temporaryFolder } from './children.ts';

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

  /** Approves what the agents have, and starts the authority. `grants`: who may call whom. */
  async start(agents: readonly string[], grants: Readonly<Record<string, readonly string[]>>): Promise<void> {
    if (!existsSync(AIT)) throw new Error('dist/ait.mjs is missing: npm run build');
    const policy = join(this.folder, 'policy');
    mkdirSync(policy);
    for (const name of agents) {
      const { folder, prompt } = this.agent(name);
      mkdirSync(folder);
      writeFileSync(prompt, PROMPT);
      writeFileSync(join(folder, 'tools.json'), JSON.stringify(TOOLS));
      writeFileSync(join(folder, 'measure.yaml'), stringify({ measure: measureSection(folder) }));
      writeFileSync(
        join(policy, `${name}.yaml`),
        stringify({ kind: 'Agent', id: name, sponsor: SPONSOR, lifecycle: 'active' }),
      );
      await ait('baseline', 'build', '--agent', name, '--config', join(folder, 'measure.yaml'), '--approved-by', 'bench',
        '--approved-at', '2026-01-31T12:00:00Z', '--output', join(policy, `${name}-baseline.yaml`)); // prettier-ignore
    }
    for (const [from, to] of Object.entries(grants)) {
      writeFileSync(join(policy, `${from}-grant.yaml`), stringify({ kind: 'Grant', from, to: [...to] }));
    }
    const state = join(this.folder, 'authority');
    this.#authority = new Child(
      [process.execPath, AIT, 'authority', '--trust-domain', TRUST_DOMAIN, '--listen', '127.0.0.1:0', '--metrics-listen',
        '127.0.0.1:0', '--state-dir', state, '--policy-dir', policy, '--log-level', 'info'], this.folder); // prettier-ignore
    await this.#authority.event('authority_ready');
    for (const name of agents) {
      const { credential } = this.agent(name);
      await ait(
        'agent',
        'credential',
        name,
        '--uses',
        '100000',
        '--out',
        credential,
        '--admin',
        join(state, 'admin.sock'),
      );
    }
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

/** The sidecar as users start it. */
export function sidecarCommand(config: string): [string, ...string[]] {
  return [process.execPath, AIT, 'sidecar', '--config', config];
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

async function ait(...args: string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [AIT, ...args]);
}
