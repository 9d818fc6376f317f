import { createWriteStream, existsSync, writeFileSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { after } from '../../platform/clock.ts';
import type { Environment } from '../../platform/environment.ts';
import { Backoff } from '../../platform/random.ts';
import type { DecisionRecord } from '../explain/decision-record.ts';
import { readAdmin } from '../mesh-runner/admin-client.ts';
import type { Child } from '../mesh-runner/child.ts';
import { Mesh, sidecarOf, type SidecarAddresses } from '../mesh-runner/mesh.ts';
import { approveService } from '../mesh-runner/inference-files.ts';
import { appAddress, approveUnknownAgents, writePolicies } from '../mesh-runner/mesh-files.ts';
import { fileName, type MeshLayout } from '../mesh-runner/mesh-layout.ts';
import { INFERENCE_SERVICE, type AgentPlan, type MeshPlan } from '../mesh-runner/mesh-plan.ts';
import type { OutputLine } from '../mesh-runner/transcript.ts';
import { untilListening } from '../mesh-runner/until-listening.ts';
import { Narrator, type Sentence } from './narrator.ts';

export interface DevSessionOptions {
  readonly layout: MeshLayout;
  readonly plan: MeshPlan;
  readonly env: Environment;
  readonly say: (sentence: Sentence) => void;
}

/** How long agents wait for their sidecars, in ms. */
const READY_DEADLINE_MS = 5_000;

/** A mesh that stays up: what crashes is started again, after a while that grows. */
export class DevSession {
  readonly #options: DevSessionOptions;
  readonly #mesh: Mesh;
  readonly #narrator = new Narrator();
  readonly #addresses = new Map<string, SidecarAddresses>();
  readonly #backoffs = new Map<string, Backoff>();
  readonly #cancelRestarts = new Set<() => void>();
  readonly #logs = new Map<string, WriteStream>();
  #stopping = false;

  constructor(options: DevSessionOptions) {
    const { layout, plan, env } = options;
    this.#options = options;
    this.#mesh = new Mesh({ layout, plan, env, onUnexpectedExit: (child, how) => this.#crashed(child, how) });
    this.#mesh.transcript.onLine((line) => {
      this.#log(line.source, line.text);
      const sentence = this.#stopping ? undefined : this.#narrator.tell(line);
      if (sentence === undefined) return;
      options.say(sentence);
      if (sentence.drifted !== undefined) void this.#tellWhere(sentence.drifted);
    });
  }

  get addresses(): ReadonlyMap<string, SidecarAddresses> {
    return this.#addresses;
  }

  /** @returns the agents whose first measurement was approved unasked. */
  async start(): Promise<readonly string[]> {
    const { layout, plan } = this.#options;
    if (!existsSync(join(layout.root, '.gitignore'))) writeFileSync(join(layout.root, '.gitignore'), '*\n');
    writePolicies(layout, plan);
    const approved = await approveUnknownAgents(layout, plan);
    await approveService(layout, plan);
    await this.#mesh.startAuthority();
    await this.#mesh.startInference();
    await Promise.all(plan.agents.map((agent) => this.#startSidecar(agent)));
    await Promise.all(plan.agents.map(({ name }) => this.#untilReady(name)));
    // Those that are called first: an agent that calls at once should find somebody.
    const called = plan.agents.filter(({ listen }) => listen !== undefined);
    for (const agent of called) this.#startAgent(agent);
    await Promise.all(called.map((agent) => untilListening(appAddress(layout, agent), READY_DEADLINE_MS)));
    for (const agent of plan.agents) if (agent.listen === undefined) this.#startAgent(agent);
    // Whoever is told that all is up may change a file at once: the example agents have read theirs by then.
    await Promise.all(plan.agents.map(({ env }) => untilListening(env['DEBUG_SOCKET'], READY_DEADLINE_MS)));
    return approved;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const cancel of this.#cancelRestarts) cancel();
    await this.#mesh.stop();
    await Promise.all([...this.#logs.values()].map((log) => new Promise<void>((resolve) => void log.end(resolve))));
  }

  async #startSidecar(agent: AgentPlan): Promise<void> {
    this.#addresses.set(agent.name, await this.#mesh.startSidecar(agent));
  }

  /** So that an agent's first call is not made in vain. An agent that has drifted is started all the same. */
  async #untilReady(agent: string): Promise<void> {
    const match = ({ record }: OutputLine): boolean =>
      record?.event === 'sidecar_mesh_ready' || record?.['subject'] === 'self';
    const expectation = {
      source: sidecarOf(agent),
      what: 'its verdict on its agent',
      match,
      deadlineMs: READY_DEADLINE_MS,
    };
    await this.#mesh.transcript.waitFor(expectation).catch(() => undefined);
  }

  #startAgent(agent: AgentPlan): void {
    const addresses = this.#addresses.get(agent.name);
    if (addresses !== undefined) this.#mesh.startAgent(agent, addresses);
  }

  #crashed({ spec }: Child, how: string): void {
    if (this.#stopping) return;
    const { name } = spec;
    const backoff = this.#backoffs.get(name) ?? new Backoff({ minMs: 1_000, maxMs: 15_000 });
    this.#backoffs.set(name, backoff);
    // Full jitter may draw nearly nothing; a person should have time to read.
    const delayMs = 500 + backoff.next();
    const text = `${name} ${how}; it is started again in ${(delayMs / 1000).toFixed(1)} s (its log: ${this.#logPath(name)})`;
    this.#options.say({ tone: 'bad', text, key: `crash ${name} ${how}` });
    const cancel = after({
      delayMs,
      run: () => {
        this.#cancelRestarts.delete(cancel);
        this.#restart(name).catch((error: unknown) => {
          this.#options.say({ tone: 'note', text: `${name}: ${(error as Error).message}`, key: `restart ${name}` });
        });
      },
    });
    this.#cancelRestarts.add(cancel);
  }

  async #restart(name: string): Promise<void> {
    if (this.#stopping) return;
    if (name === 'authority') {
      await this.#mesh.startAuthority();
      return;
    }
    if (name === INFERENCE_SERVICE) {
      await this.#mesh.startInference();
      return;
    }
    for (const agent of this.#options.plan.agents) {
      if (name === agent.name) this.#startAgent(agent);
      if (name === sidecarOf(agent.name)) await this.#startSidecar(agent);
    }
  }

  /** Offsets only: the text of a prompt stays where it is. */
  async #tellWhere(agent: string): Promise<void> {
    const socket = this.#addresses.get(agent)?.admin;
    if (socket === undefined) return;
    const decisions = (await readAdmin(socket, '/decisions').catch(() => [])) as readonly DecisionRecord[];
    const difference = decisions.find(({ rejection }) => rejection?.self === true)?.textDifference;
    if (difference === undefined || this.#stopping) return;
    const { whitespaceOnly, prompt, byteOffset, line, column } = difference;
    const what = whitespaceOnly ? 'only whitespace differs' : 'the text differs';
    const text = `prompt "${prompt}": ${what}, from byte ${byteOffset} on (line ${line}, column ${column})`;
    this.#options.say({ tone: 'note', text, key: text });
  }

  #log(source: string, text: string): void {
    const log = this.#logs.get(source) ?? createWriteStream(this.#logPath(source), { flags: 'a', mode: 0o600 });
    this.#logs.set(source, log);
    log.write(`${text}\n`);
  }

  #logPath(source: string): string {
    return join(this.#options.layout.logs, `${fileName(source.replaceAll(' ', '-'))}.log`);
  }
}
