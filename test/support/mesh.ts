import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { AgentFiles, baselineYaml } from './agent-files.ts';
import type { LoggedProcess } from './child-process.ts';
import { readState } from './forged-state.ts';
import { TestAgent, type Enforcement } from './test-agent.ts';
import { TestApp } from './test-app.ts';
import { TestAuthority } from './test-authority.ts';

export interface AgentSpec {
  /** Names of agents it calls: each gets a grant and a unix socket. */
  readonly calls?: readonly string[];
  /** Whether an echo server takes its calls. Default: whether any other agent calls it. */
  readonly app?: boolean;
  /** Whether its sidecar is started. Default true. */
  readonly start?: boolean;
  /** Whether what it measures is approved. Default true. */
  readonly approve?: boolean;
  /** Whether it may call what it calls. Default true. */
  readonly granted?: boolean;
  /** More members of its `kind: Agent`. */
  readonly record?: object;
  /** Where to find peers, instead of where the authority says: `host:port` by name. */
  readonly addresses?: Readonly<Record<string, string>>;
  /** More members of its entries under `peers`, by name. */
  readonly peers?: Readonly<Record<string, object>>;
  /** More members of the sidecar's configuration; sections are merged. */
  readonly config?: Readonly<Record<string, object | string | boolean>>;
  readonly enforcement?: Enforcement;
  /** What its join credential is good for. Default: as {@link TestAuthority.credential} has it. */
  readonly credential?: { readonly uses?: number; readonly expires?: string };
}

export interface MeshSpec {
  readonly agents: Readonly<Record<string, AgentSpec>>;
  /** More members of the authority's configuration. */
  readonly authority?: object;
  /** Files beside the authority's configuration, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Arguments for the authority's Node.js, such as another clock. */
  readonly authorityOptions?: readonly string[];
}

/** A mesh of real processes in a temporary directory. */
export class TestMesh {
  readonly folder: string;
  readonly authority: TestAuthority;
  readonly #agents = new Map<string, TestAgent>();
  readonly #apps: TestApp[] = [];
  #nudges = 0;

  constructor(folder: string, authority: TestAuthority) {
    this.folder = folder;
    this.authority = authority;
  }

  agent(name: string): TestAgent {
    const agent = this.#agents.get(name);
    if (agent === undefined) throw new Error(`there is no agent ${name} in this mesh`);
    return agent;
  }

  /** Files, registration, approval, grants. */
  async register(name: string, spec: AgentSpec): Promise<AgentFiles> {
    const { calls = [], approve = true, granted = true, record = {} } = spec;
    const files = new AgentFiles(join(this.folder, name));
    await files.create(name);
    const sponsor = { id: 'u-1', name: 'Ada Lovelace', email: 'ada@acme.example' };
    await this.authority.writePolicy(`agents/${name}`, {
      kind: 'Agent',
      id: name,
      lifecycle: 'active',
      sponsor,
      ...record,
    });
    if (approve) await this.approve(name, { id: `${name}-1`, files });
    if (granted && calls.length > 0) {
      await this.authority.writePolicy(`grants/${name}`, { kind: 'Grant', from: name, to: [...calls] });
    }
    return files;
  }

  /** Approves what the files say now. */
  async approve(agent: string, { id, files }: { readonly id: string; readonly files: AgentFiles }): Promise<void> {
    const measurement = await files.measure();
    await this.authority.writePolicy(`baselines/${id}`, baselineYaml({ agent, id, measurement }));
  }

  /** Adds one running copy of an agent under a name of its own. */
  async addInstance(
    name: string,
    { agent, files, spec }: { agent: string; files: AgentFiles; spec: AgentSpec },
  ): Promise<TestAgent> {
    const folder = join(this.folder, name);
    await mkdir(folder, { recursive: true });
    const credential = join(folder, 'credential');
    await writeFile(credential, await this.authority.credential(agent, spec.credential), { mode: 0o600 });
    const app = spec.app === true ? await TestApp.start() : undefined;
    if (app !== undefined) this.#apps.push(app);
    const { calls = [], addresses = {}, peers = {}, config = {}, enforcement } = spec;
    const basis: Record<string, object | string | boolean> = {
      state_dir: join(folder, 'state'),
      authority: { join_credential: credential },
      inbound: { listen: '127.0.0.1:0' },
      metrics: { listen: '127.0.0.1:0' },
      ...(app !== undefined && { app: { address: app.address } }),
      peers: calls.map((peer) => ({
        agent: peer,
        listen: `unix:${join(folder, `to-${peer}.sock`)}`,
        ...(addresses[peer] !== undefined && { address: addresses[peer] }),
        ...peers[peer],
      })),
      timing: { drain: '200ms' },
      measure: files.section,
    };
    for (const [section, more] of Object.entries(config)) {
      const known = basis[section];
      basis[section] = typeof more === 'object' && typeof known === 'object' ? { ...known, ...more } : more;
    }
    const measurement = await files.measure();
    const made = new TestAgent({ name, folder, files, measurement, app, config: basis, enforcement });
    this.#agents.set(name, made);
    if (spec.start !== false) await made.start();
    return made;
  }

  /** Brings about a new state that changes nothing, which among other things ends every rest after a refusal. */
  async nudge(agent: TestAgent): Promise<void> {
    const from = agent.sidecar.mark();
    this.#nudges += 1;
    const nobody = `nobody-${this.#nudges}`;
    await this.authority.writePolicy('revocations/nobody', {
      kind: 'Revocation',
      id: nobody,
      instance: nobody,
      reason: 'a test',
    });
    await agent.waitFor('state_applied', () => true, { from });
  }

  get processes(): readonly LoggedProcess[] {
    return [...this.authority.processes, ...[...this.#agents.values()].flatMap((agent) => agent.processes)];
  }

  async end(): Promise<void> {
    const { processes } = this;
    // Nothing is asserted about how they end; tests of stopping stop them themselves.
    await Promise.all(processes.map((process) => process.kill()));
    await Promise.all(this.#apps.map((app) => app.stop()));
    await chmod(this.folder, 0o700);
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

let lastStart: Promise<unknown> = Promise.resolve();

/**
 * Starts a mesh of real processes and has it ended with the test, whatever comes of it. When the test fails, the end of
 * every process's log is printed. Tests that run side by side start theirs one after the other: a machine with two cores
 * that starts nine processes at once is late with every one of them.
 */
export function startMesh(t: TestContext, spec: MeshSpec): Promise<TestMesh> {
  const start = lastStart.then(() => startNext(t, spec));
  // Whether it came up is for its own test to say.
  lastStart = start.catch(() => undefined);
  return start;
}

async function startNext(
  t: TestContext,
  { agents, authority = {}, files = {}, authorityOptions = [] }: MeshSpec,
): Promise<TestMesh> {
  const folder = await mkdtemp(join(tmpdir(), 'ait-e2e-'));
  const mesh = new TestMesh(folder, new TestAuthority(join(folder, 'authority'), authority));
  mesh.authority.nodeOptions = authorityOptions;
  t.after(() => mesh.end());
  // Whether a subtest failed is known only when all is over.
  process.once('exit', () => {
    const { passed } = t as TestContext & { readonly passed: boolean };
    if (!passed) for (const each of mesh.processes) console.error(each.tail());
  });
  const called = new Set(Object.values(agents).flatMap(({ calls = [] }) => calls));
  const registered = await Promise.all(
    Object.entries(agents).map(async ([name, spec]) => {
      const withApp = { ...spec, app: spec.app ?? called.has(name) };
      return { name, spec: withApp, files: await mesh.register(name, spec) };
    }),
  );
  for (const [name, text] of Object.entries(files)) await writeFile(join(mesh.authority.folder, name), text);
  await mesh.authority.start();
  await Promise.all(registered.map(({ name, spec, files }) => mesh.addInstance(name, { agent: name, files, spec })));
  for (const { name, spec } of registered) {
    if (spec.start === false) continue;
    for (const peer of spec.calls ?? []) {
      if (agents[peer]?.start !== false && spec.addresses?.[peer] === undefined)
        await awaitAddress(mesh.agent(name), mesh.agent(peer).inbound);
    }
  }
  return mesh;
}

/** Until the caller knows from the authority where an instance is. Before that a call fails at once. */
export async function awaitAddress(caller: TestAgent, address: string, deadlineMs = 30_000): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const state = await readState(caller).catch(() => undefined);
    if (state?.objects.some(({ kind, value }) => kind === 'endpoint' && value.address === address) === true) return;
    if (performance.now() > deadline)
      throw new Error(`${caller.name} never learnt of ${address}\n${caller.sidecar.tail()}`);
    await delay(10);
  }
}
