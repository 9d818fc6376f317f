import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { writeFileAtomic } from '../../platform/atomic-file.ts';
import type { Environment } from '../../platform/environment.ts';
import { askAuthority } from '../operator/authority-client.ts';
import { Child, describeExit } from './child.ts';
import { inferenceSection, SERVICE_NAME, serviceCredential, writeServiceConfig } from './inference-files.ts';
import { modelVariables } from './model-variables.ts';
import { appAddress, writeAuthorityConfig, writeSidecarConfig } from './mesh-files.ts';
import { fileName, type MeshLayout } from './mesh-layout.ts';
import { fillIn, INFERENCE_SERVICE, type AgentPlan, type MeshPlan } from './mesh-plan.ts';
import { OrphanGuard } from './orphan-guard.ts';
import { aitCommand, withoutOwnVariables } from './package-files.ts';
import { Transcript, type LogRecord } from './transcript.ts';

export interface MeshOptions {
  readonly layout: MeshLayout;
  readonly plan: MeshPlan;
  readonly env: Environment;
  /** Called when a process ended that nobody asked to end. */
  readonly onUnexpectedExit?: (child: Child, how: string) => void;
}

/** What a sidecar says of itself once it is a member and listens. */
export interface SidecarAddresses {
  /** `host:port`. */
  readonly inbound: string;
  readonly metrics: string;
  readonly admin: string;
  readonly peers: ReadonlyMap<string, string>;
  /** Where the agent calls its model, `host:port`. */
  readonly inference: string;
}

/** What differs from the plan. */
export interface SidecarVariant {
  /** Tells several sidecars of one agent apart. Default: the agent's name. */
  readonly instance?: string;
  /** Addresses of peers, instead of those that the authority knows. */
  readonly addresses?: Readonly<Record<string, string>>;
  /** Where to look for the authority. */
  readonly authority?: string;
}

const START_DEADLINE_MS = 30_000;
const ANYWHERE = '127.0.0.1:0';

/** Authority, inference service, sidecars and agents of one mesh, each a process of its own. */
export class Mesh {
  readonly transcript = new Transcript();
  readonly #options: MeshOptions;
  readonly #guard = new OrphanGuard();
  readonly #children = new Map<string, Child>();
  #authority = ANYWHERE;
  #inference: string | undefined;
  #stopping = false;

  constructor(options: MeshOptions) {
    this.#options = options;
  }

  /** `host:port` of the authority's gRPC services. */
  get authorityAddress(): string {
    return this.#authority;
  }

  /** `host:port` of the inference service; `undefined` before its start, and where the plan has none. */
  get inferenceAddress(): string | undefined {
    return this.#inference;
  }

  get authorityAdmin(): string {
    return join(this.#options.layout.stateOf('authority'), 'admin.sock');
  }

  /** Starts it, at the address it had before if it ran before. */
  async startAuthority(): Promise<LogRecord> {
    const { layout, plan } = this.#options;
    const config = writeAuthorityConfig(layout, plan, this.#authority);
    const from = this.transcript.position;
    const child = this.#startAit('authority', 'authority', '--config', config);
    const ready = await this.#ready(child, 'authority_ready', from);
    this.#authority = String(ready['listen']);
    return ready;
  }

  /** Starts the inference service, if the plan has one of ours: at the address it had before, if that is free. */
  async startInference(): Promise<void> {
    const { layout, plan } = this.#options;
    if (plan.inference.kind !== 'simulated') return;
    await this.writeCredential({ inference: SERVICE_NAME }, serviceCredential(layout));
    const lastAddress = join(layout.stateOf('inference'), 'address');
    const listen = await freeAddress(lastAddress);
    const config = writeServiceConfig({ layout, plan, authority: this.#authority, listen });
    const from = this.transcript.position;
    const child = this.#startAit(INFERENCE_SERVICE, 'inference', '--config', config);
    const ready = await this.#ready(child, 'inference_ready', from);
    this.#inference = String(ready['listen']);
    // Sidecars are told once where it is, so it has to come back there.
    writeFileSync(lastAddress, this.#inference);
  }

  /** Makes a join credential of an agent or an inference service. @returns its file. */
  async writeCredential(subject: string | { readonly inference: string }, file: string): Promise<string> {
    const body = typeof subject === 'string' ? { agent: subject } : subject;
    const answer = await askAuthority(
      { admin: this.authorityAdmin },
      { method: 'POST', path: '/join-credentials', body },
    );
    const { credential } = answer as { credential: string };
    await writeFileAtomic(file, `${credential}\n`, { mode: 0o600 });
    return file;
  }

  /** Starts an agent's sidecar and waits until it is a member and listens; its agent need not be in order. */
  async startSidecar(agent: AgentPlan, more: SidecarVariant = {}): Promise<SidecarAddresses> {
    const { instance = agent.name } = more;
    const from = this.transcript.position;
    const child = await this.launchSidecar(agent, more);
    const addresses = readAddresses(await this.#ready(child, 'sidecar_listening', from));
    // A dead instance stays in the authority's list until its certificate ends: at the same address, it does no harm.
    writeFileSync(this.#addressFile(instance, 'inbound'), addresses.inbound);
    // An agent is told once where its model is.
    writeFileSync(this.#addressFile(instance, 'inference'), addresses.inference);
    return addresses;
  }

  /** As {@link startSidecar}, without waiting. */
  async launchSidecar(agent: AgentPlan, more: SidecarVariant = {}): Promise<Child> {
    const { layout, plan } = this.#options;
    const { instance = agent.name, addresses } = more;
    const state = layout.stateOf({ sidecar: instance });
    mkdirSync(state, { recursive: true, mode: 0o700 });
    const credentialFile = await this.writeCredential(agent.name, join(state, 'join.credential'));
    const config = writeSidecarConfig({
      layout,
      agent,
      credentialFile,
      instance,
      authority: more.authority ?? this.#authority,
      inbound: await freeAddress(this.#addressFile(instance, 'inbound')),
      inference: inferenceSection(plan, {
        listen: await freeAddress(this.#addressFile(instance, 'inference')),
        service: this.#inference,
      }),
      ...(addresses !== undefined && { addresses }),
    });
    mkdirSync(join(layout.run, fileName(instance)), { recursive: true, mode: 0o700 });
    return this.#startAit(sidecarOf(instance), 'sidecar', '--config', config);
  }

  /** @param more arguments and variables on top of the plan's. */
  startAgent(
    agent: AgentPlan,
    { peers, inference }: SidecarAddresses,
    more: { args?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
  ): Child | undefined {
    const { layout, env } = this.#options;
    if (agent.command === undefined) return undefined;
    const placeholders = { listen: appAddress(layout, agent), peers };
    const [program, ...args] = [...agent.command, ...(more.args ?? [])].map((part) => fillIn(part, placeholders));
    const own = Object.entries({ ...agent.env, ...more.env }).map(([name, value]) => [
      name,
      fillIn(value, placeholders),
    ]);
    return this.#start(agent.name, [program ?? '', ...args], {
      cwd: agent.cwd,
      env: {
        ...withoutOwnVariables(env),
        ...modelVariables(inference),
        ...(Object.fromEntries(own) as Record<string, string>),
      },
    });
  }

  child(name: string): Child | undefined {
    return this.#children.get(name);
  }

  /** Everything at once would be quicker, but agents should see their peers go last: agents, sidecars, what these need. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const rank = (name: string): number => {
      if (name === 'authority' || name === INFERENCE_SERVICE) return 2;
      return name.startsWith('sidecar ') ? 1 : 0;
    };
    for (const turn of [0, 1, 2]) {
      const now = [...this.#children.values()].filter(({ spec }) => rank(spec.name) === turn);
      await Promise.all(now.map((child) => child.stop()));
    }
    this.transcript.close();
    await this.#guard.close();
  }

  #startAit(name: string, ...args: string[]): Child {
    const { layout, env } = this.#options;
    return this.#start(name, aitCommand(...args), { cwd: layout.root, env: withoutOwnVariables(env) });
  }

  #start(
    name: string,
    command: [string, ...string[]],
    { cwd, env }: { cwd: string; env: Record<string, string> },
  ): Child {
    // A start that is still under way must leave nothing behind a stop.
    if (this.#stopping) throw new Error('the mesh is being stopped');
    const child = new Child({ name, command, cwd, env }, { transcript: this.transcript, guard: this.#guard });
    this.#children.set(name, child);
    void child.exited.then((status) => {
      if (!child.stopping && !this.#stopping) this.#options.onUnexpectedExit?.(child, describeExit(status));
    });
    return child;
  }

  /** @throws Error with the child's last words when it ends instead. */
  async #ready(child: Child, event: string, from: number): Promise<LogRecord> {
    const { name } = child.spec;
    const what = `its event ${event}`;
    const expectation = {
      what,
      source: name,
      from,
      deadlineMs: START_DEADLINE_MS,
      match: (line: { record?: LogRecord }) => line.record?.event === event,
    };
    const line = this.transcript.waitFor(expectation);
    line.catch(() => undefined);
    const ended = child.exited.then((status) => {
      const words = this.transcript
        .since(from)
        .filter(({ source }) => source === name)
        .slice(-8);
      throw new Error(
        `${name} ${describeExit(status)} before it was ready:\n${words.map(({ text }) => `  ${text}`).join('\n')}`,
      );
    });
    ended.catch(() => undefined);
    const { record } = await Promise.race([line, ended]);
    return record ?? { event };
  }

  #addressFile(instance: string, listener: 'inbound' | 'inference'): string {
    return join(this.#options.layout.stateOf({ sidecar: instance }), `${listener}-address`);
  }
}

/** The address that a file remembers, if it is free; else one that the system chooses. */
async function freeAddress(file: string): Promise<string> {
  const last = await readFile(file, 'utf8').catch(() => undefined);
  return last !== undefined && (await isFree(last)) ? last : ANYWHERE;
}

function isFree(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(':');
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port: Number(port) }, () => server.close(() => resolve(true)));
  });
}

/** How a sidecar's process is named. */
export function sidecarOf(instance: string): string {
  return `sidecar ${instance}`;
}

function readAddresses(record: LogRecord): SidecarAddresses {
  const peers = (record['peers'] ?? []) as readonly { readonly agent: string; readonly listen: string }[];
  return {
    inbound: String(record['inbound']),
    metrics: String(record['metrics']),
    admin: String(record['admin']),
    inference: String(record['inference']),
    peers: new Map(peers.map(({ agent, listen }) => [agent.replace(/^spiffe:\/\/[^/]+\/agent\//, ''), listen])),
  };
}
