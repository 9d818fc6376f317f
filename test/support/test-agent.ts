import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Measurement } from '../../src/domain/measurement.ts';
import type { RejectionCode } from '../../src/domain/rejection.ts';
import type { Decision } from '../../src/sidecar/decision-log.ts';
import type { PeerReport } from '../../src/sidecar/peer-views.ts';
import { httpGet } from './admin-request.ts';
import type { AgentFiles } from './agent-files.ts';
import { LoggedProcess, type LogLine, type WaitOptions } from './child-process.ts';
import type { TestApp } from './test-app.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Another build than the one in `dist` can be tested, such as an installed one. */
export const AIT_BINARY = process.env['AIT_TEST_BINARY'] ?? join(ROOT, 'dist/ait.mjs');
const HALF_SIDECAR = join(ROOT, 'test/support/half-sidecar.ts');

/** One half of enforcement switched off: see `SidecarOptions.enforcement`. */
export interface Enforcement {
  readonly selfCut?: false;
  readonly peerChecks?: false;
}

export interface TestAgentInput {
  readonly name: string;
  readonly folder: string;
  readonly files: AgentFiles;
  readonly measurement: Measurement;
  readonly app: TestApp | undefined;
  readonly config: Record<string, object | string | boolean>;
  readonly enforcement: Enforcement | undefined;
}

interface Addresses {
  readonly inbound: string;
  readonly metrics: string;
  readonly admin: string;
}

/** One agent of a test's mesh: its files, its sidecar (a process of its own) and its app (in the test's process). */
export class TestAgent {
  readonly name: string;
  readonly folder: string;
  readonly files: AgentFiles;
  /** As approved when the mesh was made. */
  readonly measurement: Measurement;
  readonly #app: TestApp | undefined;
  readonly #input: TestAgentInput;
  /** The sidecar's configuration; what is changed counts from the next {@link start} on. */
  readonly config: Record<string, object | string | boolean>;
  readonly processes: LoggedProcess[] = [];
  /** Arguments for Node.js from the next start on. */
  nodeOptions: readonly string[] = [];

  constructor(input: TestAgentInput) {
    this.name = input.name;
    this.folder = input.folder;
    this.files = input.files;
    this.measurement = input.measurement;
    this.#app = input.app;
    this.#input = input;
    this.config = input.config;
  }

  /** The sidecar's process, the newest if there were several. */
  get sidecar(): LoggedProcess {
    const process = this.processes.at(-1);
    if (process === undefined) throw new Error(`the sidecar of ${this.name} was not started`);
    return process;
  }

  get app(): TestApp {
    if (this.#app === undefined) throw new Error(`${this.name} has no app`);
    return this.#app;
  }

  /** Starts the sidecar; `awaitReady: false` only the process. */
  async start({ awaitReady = true } = {}): Promise<void> {
    const path = join(this.folder, 'sidecar.yaml');
    await writeFile(path, JSON.stringify(this.config));
    const { enforcement } = this.#input;
    const args =
      enforcement === undefined
        ? [...this.nodeOptions, AIT_BINARY, 'sidecar', '--config', path]
        : ['--import', 'tsx', HALF_SIDECAR, path, JSON.stringify(enforcement)];
    this.processes.push(new LoggedProcess(`sidecar ${this.name}`, args));
    if (awaitReady) await this.waitFor('sidecar_ready');
  }

  get addresses(): Addresses {
    const line = this.sidecar.lines.find(({ event }) => event === 'sidecar_listening' || event === 'sidecar_ready');
    if (line === undefined) throw new Error(`the sidecar of ${this.name} does not listen yet`);
    return line as unknown as Addresses;
  }

  /** Where other sidecars come in. */
  get inbound(): string {
    return this.addresses.inbound;
  }

  waitFor(
    event: string | readonly string[],
    matches?: (line: LogLine) => boolean,
    options?: WaitOptions,
  ): Promise<LogLine> {
    return this.sidecar.waitFor(event, matches, options);
  }

  /** Awaits a refusal or an end on record that has these fields, whatever kind of one it is. */
  waitForVerdict(
    fields: Partial<Record<keyof Decision | 'code', unknown>> = {},
    options: WaitOptions = {},
  ): Promise<LogLine> {
    const matches = (line: LogLine) => Object.entries(fields).every(([name, value]) => line[name] === value);
    return this.waitFor(['peer_denied', 'peer_refused', 'session_terminated'], matches, options);
  }

  /** The sidecar's own record, newest first. */
  async decisions(): Promise<Decision[]> {
    return JSON.parse(await this.admin('/decisions')) as Decision[];
  }

  async codes(): Promise<(RejectionCode | undefined)[]> {
    return (await this.decisions()).map(({ rejection }) => rejection?.code);
  }

  async sessions(): Promise<
    { id: string; state: string; role: string; peer: string; connections: number; correlationId: string }[]
  > {
    return JSON.parse(await this.admin('/sessions')) as [];
  }

  /** What its sidecar knows of the peer's instances. */
  async peer(name: string): Promise<PeerReport> {
    const reports = JSON.parse(await this.admin('/peers')) as readonly PeerReport[];
    const report = reports.find(({ agent }) => agent.endsWith(`/${name}`));
    if (report === undefined) throw new Error(`${this.name} calls no ${name}`);
    return report;
  }

  async status(): Promise<{ instance: string; ready: boolean; inOrder: boolean; certificate: { thumbprint: string } }> {
    return JSON.parse(await this.admin('/status')) as never;
  }

  admin(path: string): Promise<string> {
    return httpGet({ socketPath: this.addresses.admin }, path);
  }

  /** The value of one series, such as `ait_drift_total{peer="self",…}`; 0 where there is none. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const text = await httpGet({ address: this.addresses.metrics }, '/metrics');
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => wanted.every((part) => line.includes(part)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Where this agent calls the peer. */
  socketTo(peer: string): string {
    return join(this.folder, `to-${peer}.sock`);
  }

  /** Opens a connection to a peer as the agent itself would. */
  connect(peer: string): AgentConnection {
    return new AgentConnection(connect({ path: this.socketTo(peer), allowHalfOpen: true }));
  }

  /**
   * One call: sends a line, reads as much back, closes. A line, because a word alone could go on to be a request.
   *
   * @throws Error when the connection ends before
   */
  async call(peer: string, text = 'ping'): Promise<string> {
    const connection = this.connect(peer);
    try {
      connection.socket.write(`${text}\n`);
      return (await connection.read(Buffer.byteLength(text) + 1)).toString().slice(0, -1);
    } finally {
      connection.socket.destroy();
    }
  }
}

/** The agent's end of one connection. */
export class AgentConnection {
  readonly socket: Socket;
  /** Settles when the connection is gone, with the error that ended it. */
  readonly closed: Promise<Error | undefined>;
  #bytes = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #over = false;

  constructor(socket: Socket) {
    this.socket = socket;
    let error: Error | undefined;
    socket.on('error', (cause) => (error = cause));
    socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake?.();
    });
    // A unix socket knows no reset: to the agent the cut is the end of the stream, with nothing after it.
    socket.once('end', () => socket.destroy());
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#over = true;
        this.#wake?.();
        resolve(error);
      });
    });
  }

  get received(): Buffer {
    return this.#bytes;
  }

  /** @throws Error when the connection ends before */
  async read(length: number, deadlineMs = 30_000): Promise<Buffer> {
    const deadline = setTimeout(() => this.socket.destroy(), deadlineMs);
    while (this.#bytes.length < length && !this.#over) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    clearTimeout(deadline);
    if (this.#bytes.length < length)
      throw new Error(`the connection ended after ${this.#bytes.length} of ${length} bytes`);
    const result = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return result;
  }
}
