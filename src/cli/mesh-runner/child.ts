import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { after } from '../../platform/clock.ts';
import type { OrphanGuard } from './orphan-guard.ts';
import type { Transcript } from './transcript.ts';

export interface ChildSpec {
  /** Unique in a mesh, such as `sidecar planner`. */
  readonly name: string;
  /** Program and arguments; run without a shell. */
  readonly command: readonly [program: string, ...args: string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** How a child ended. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not even be started. */
  readonly error?: Error;
}

export interface ChildDeps {
  readonly transcript: Transcript;
  readonly guard: OrphanGuard;
}

/** How long a child has after SIGTERM before it is killed, in ms. */
const GRACE_MS = 5_000;

/** One process that we started and will end. It leads a process group, so that what it starts ends with it. */
export class Child {
  readonly spec: ChildSpec;
  /** Settles when the process has ended and its output was read. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  readonly #process: ChildProcess;
  #stopping = false;
  #ended = false;

  constructor(spec: ChildSpec, { transcript, guard }: ChildDeps) {
    const [program, ...args] = spec.command;
    this.spec = spec;
    this.#process = spawn(program, args, {
      cwd: spec.cwd,
      env: { ...spec.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C in a terminal reaches us alone, and we stop the children in order.
      detached: true,
    });
    const { pid, stdout, stderr } = this.#process;
    if (pid !== undefined) guard.watch(pid);
    for (const stream of [stdout, stderr])
      if (stream !== null) readLines(stream, (line) => transcript.add(spec.name, line));
    this.exited = new Promise<ExitStatus>((resolve) => {
      this.#process.once('error', (error) => resolve({ code: null, signal: null, error }));
      this.#process.once('close', (code, signal) => resolve({ code, signal }));
    }).finally(() => {
      this.#ended = true;
      if (pid === undefined) return;
      this.#signal('SIGKILL');
      guard.forget(pid);
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get running(): boolean {
    return !this.#ended;
  }

  /** Whether its end was asked for. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Ends it in good order, by force after a while. A second call waits for the first. */
  async stop(graceMs = GRACE_MS): Promise<ExitStatus> {
    this.#stopping = true;
    if (this.running) this.#signal('SIGTERM');
    const cancel = after({ delayMs: graceMs, run: () => this.#signal('SIGKILL') });
    const status = await this.exited;
    cancel();
    return status;
  }

  /** To the whole group. */
  #signal(signal: NodeJS.Signals): void {
    if (this.#process.pid === undefined) return;
    try {
      process.kill(-this.#process.pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
}

/** `undefined` for an end in good order, else in words. */
export function describeExit({ code, signal, error }: ExitStatus): string {
  if (error !== undefined) return `could not be started: ${error.message}`;
  return signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  const lines = createInterface({ input: stream, crlfDelay: Infinity });
  lines.on('line', onLine);
}
