import { createWriteStream, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Measurement } from '../../domain/measurement.ts';
import { parseMeasurement } from '../../domain/measurement-json.ts';
import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import { systemClock } from '../../platform/clock.ts';
import type { Environment } from '../../platform/environment.ts';
import { copyExampleAgent, examplePlan, measureExample } from '../dev/example-plan.ts';
import type { DecisionRecord } from '../explain/decision-record.ts';
import { askAdmin, readAdmin } from '../mesh-runner/admin-client.ts';
import { approveService } from '../mesh-runner/inference-files.ts';
import { approveUnknownAgents, writePolicies } from '../mesh-runner/mesh-files.ts';
import { fileName, prepareLayout, type MeshLayout } from '../mesh-runner/mesh-layout.ts';
import { DEFAULT_ADDRESS, type AgentPlan, type MeshPlan } from '../mesh-runner/mesh-plan.ts';
import { Mesh, sidecarOf, type SidecarAddresses } from '../mesh-runner/mesh.ts';
import { fetchMetrics, sumOf, type Labels } from '../mesh-runner/metrics-reader.ts';
import type { LogRecord, OutputLine } from '../mesh-runner/transcript.ts';

/** An open session as a sidecar's admin socket gives it. */
export interface SessionView {
  readonly id: string;
  readonly state: string;
  readonly baseline?: string;
  readonly connections: number;
}

/** How often the planner asks, and how often a finding comes, in ms: often, since the demo waits for them. */
const ASK_EVERY_MS = 100;
const FINDING_EVERY_MS = 20;
/** An investigation that lasts as long as the demo. */
const ENDLESS = 1_000_000;

/**
 * Where the demo plays: the two example agents of `ait dev` in a folder of its own, and a third member, `mallory`, that
 * has a grant and a baseline like everybody else but no sidecar: whatever it does, the attacker does in its name.
 */
export class Stage {
  readonly root: string;
  readonly layout: MeshLayout;
  readonly plan: MeshPlan;
  readonly mesh: Mesh;
  readonly addresses = new Map<string, SidecarAddresses>();

  constructor(env: Environment) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'ait-demo-')));
    this.layout = prepareLayout(this.root, ['planner', 'researcher', 'planner-misled']);
    this.plan = this.#plan();
    this.mesh = new Mesh({ layout: this.layout, plan: this.plan, env });
    const { logs } = this.layout;
    this.mesh.transcript.onLine(({ source, text }) => {
      this.#log(join(logs, `${fileName(source.replaceAll(' ', '-'))}.log`)).write(`${text}\n`);
    });
  }

  readonly #logs = new Map<string, ReturnType<typeof createWriteStream>>();

  #log(path: string): ReturnType<typeof createWriteStream> {
    const log = this.#logs.get(path) ?? createWriteStream(path, { flags: 'a', mode: 0o600 });
    this.#logs.set(path, log);
    return log;
  }

  /** Everything up to the point where both sidecars are members in order. */
  async open(): Promise<void> {
    writePolicies(this.layout, this.plan);
    await approveUnknownAgents(this.layout, this.plan);
    await approveService(this.layout, this.plan);
    await this.mesh.startAuthority();
    await this.mesh.startInference();
    await Promise.all(['planner', 'researcher'].map((name) => this.startSidecar(name)));
    this.mesh.startAgent(this.agent('researcher'), this.addressesOf('researcher'));
    await this.line('researcher', 'the agent', ({ text }) => text.startsWith('ready'));
  }

  async close({ keep }: { readonly keep: boolean }): Promise<void> {
    await this.mesh.stop();
    await Promise.all([...this.#logs.values()].map((log) => new Promise<void>((resolve) => void log.end(resolve))));
    if (!keep) rmSync(this.root, { recursive: true, force: true });
  }

  async startSidecar(name: string): Promise<void> {
    this.addresses.set(name, await this.mesh.startSidecar(this.agent(name)));
    await Promise.all([this.event(name, 'sidecar_mesh_ready'), this.event(name, 'inference_service_attested')]);
  }

  /** Starts the planner's endless calls. */
  startCalling(): void {
    const env = {
      ASK_EVERY_MS: `${ASK_EVERY_MS}`,
      FINDINGS: `${ENDLESS}`,
      FINDING_EVERY_MS: `${FINDING_EVERY_MS}`,
      LOG: 'json',
    };
    this.mesh.startAgent(this.agent('planner'), this.addressesOf('planner'), { env });
  }

  agent(name: string): AgentPlan {
    const found = this.plan.agents.find((agent) => agent.name === name);
    if (found === undefined) throw new RangeError(`the demo has no agent ${name}`);
    return found;
  }

  addressesOf(name: string): SidecarAddresses {
    const found = this.addresses.get(name);
    if (found === undefined) throw new RangeError(`the sidecar of ${name} does not run`);
    return found;
  }

  get position(): number {
    return this.mesh.transcript.position;
  }

  /** The planner's folder, as its sidecar sees it: a link to the release in use. */
  get plannerHome(): string {
    return join(this.layout.agents, 'planner');
  }

  release(version: string): string {
    return join(this.layout.agents, `planner-${version}`);
  }

  /** Waits for a line of a process. */
  line(source: string, what: string, match: (line: OutputLine) => boolean, from = 0): Promise<OutputLine> {
    return this.mesh.transcript.waitFor({ source, what, match, from });
  }

  /** Waits for an event in a sidecar's log. */
  event(
    agent: string,
    event: string,
    { from = 0, where = () => true }: { from?: number; where?: (record: LogRecord) => boolean } = {},
  ): Promise<OutputLine> {
    return this.line(sidecarOf(agent), event, ({ record }) => record?.event === event && where(record), from);
  }

  /** Plays somebody who got into the planner's process: what it has in memory changes, and no file. */
  async tamper(action: 'prompt' | 'tool' | 'model' | 'restore', text = ''): Promise<void> {
    const socket = this.layout.socket('planner', 'debug').slice('unix:'.length);
    const { status, answer } = await askAdmin(socket, { method: 'POST', path: `/${action}`, body: text });
    if (status !== 200) throw new Error(`the planner's memory was not changed: ${status} ${answer}`);
  }

  /** Waits for what the planner says about a call. */
  call(call: 'Plan' | 'Ask' | 'Investigate', status: string, from = 0): Promise<OutputLine> {
    return this.line(
      'planner',
      `${call} ${status}`,
      ({ json }) => json?.['call'] === call && json['status'] === status,
      from,
    );
  }

  /** Waits until so many more findings have arrived. */
  async findings(count: number, from: number): Promise<void> {
    let left = count;
    const arrived = ({ json }: OutputLine): boolean => typeof json?.['finding'] === 'number' && --left <= 0;
    await this.line('planner', `${count} findings`, arrived, from);
  }

  async metric(agent: string, name: string, labels: Labels): Promise<number> {
    return sumOf(await fetchMetrics(this.addressesOf(agent).metrics), name, labels);
  }

  async sessions(agent: string): Promise<readonly SessionView[]> {
    return (await readAdmin(this.addressesOf(agent).admin, '/sessions')) as readonly SessionView[];
  }

  async decisions(agent: string): Promise<readonly DecisionRecord[]> {
    return (await readAdmin(this.addressesOf(agent).admin, '/decisions')) as readonly DecisionRecord[];
  }

  async status(
    agent: string,
  ): Promise<{ readonly instance: string; readonly baseline?: string; readonly measurement: Measurement }> {
    const status = (await readAdmin(this.addressesOf(agent).admin, '/status')) as Record<string, JsonValue>;
    return {
      instance: typeof status['instance'] === 'string' ? status['instance'] : '',
      ...(typeof status['baseline'] === 'string' && { baseline: status['baseline'] }),
      measurement: parseMeasurement(status['measurement']),
    };
  }

  /** Milliseconds since a moment of the monotonic clock, that moment being now without one. */
  now(): number {
    return systemClock.monotonic();
  }

  #plan(): MeshPlan {
    mkdirSync(this.release('v1'));
    copyExampleAgent('planner', this.release('v1'));
    symlinkSync(this.release('v1'), join(this.layout.agents, 'planner'));
    const folder = (agent: string): string => join(this.layout.agents, agent);
    copyExampleAgent('researcher', folder('researcher'));
    const debugSocketOf = (agent: string): string => this.layout.socket(agent, 'debug');
    const { agents, inference } = examplePlan({ folderOf: folder, debugSocketOf });
    const mallory: AgentPlan = {
      name: 'mallory',
      cwd: this.root,
      env: {},
      listen: undefined,
      calls: [{ agent: 'researcher', listen: DEFAULT_ADDRESS }],
      measure: measureExample(folder('researcher')),
    };
    return { trustDomain: 'demo.local', inference, agents: [...agents, mallory] };
  }
}
