import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import type { TestMesh } from './mesh.ts';
import { pollUntil } from './poll-until.ts';
import { AIT_BINARY } from './test-agent.ts';

export interface AitRunOptions {
  /** More flags, between the file and the command. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Writes the `agent.yaml` of an agent of the mesh, with as little in it as there can be. @returns the file */
export async function writeAgentFile(
  mesh: TestMesh,
  name: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { folder, files } = mesh.agent(name);
  const file = join(folder, 'agent.yaml');
  const basis = {
    state_dir: join(folder, 'run-state'),
    authority: { join_credential: join(folder, 'credential') },
    measure: files.section,
  };
  await writeFile(file, stringify({ ...basis, ...more }));
  return file;
}

/** `ait run`, leading a process group of its own as it does in a terminal. */
export class AitRun {
  readonly #child: ChildProcess;
  /** The agent's output alone. */
  out = '';
  err = '';
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;

  constructor(t: TestContext, file: string, command: readonly string[], { flags = [], env = {} }: AitRunOptions = {}) {
    const child = spawn(process.execPath, [AIT_BINARY, 'run', file, ...flags, '--', ...command], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    child.stdout.on('data', (chunk: Buffer) => (this.out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    t.after(async () => {
      child.kill('SIGKILL');
      await this.exited;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Whether `ait run` itself has not ended. */
  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  say(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** To `ait run` alone. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** As Ctrl-C in a terminal: to everybody in its group. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Until the agent has printed it. @returns all it has printed */
  async printed(pattern: RegExp): Promise<string> {
    return this.#until(() => this.out, pattern);
  }

  /** Until `ait run` has said it on standard error. */
  async said(pattern: RegExp): Promise<string> {
    return this.#until(() => this.err, pattern);
  }

  /** The code it ends with; `null`: by a signal. */
  async code(): Promise<number | null> {
    return (await this.exited).code;
  }

  async #until(text: () => string, pattern: RegExp): Promise<string> {
    const seen = (now: string) => pattern.test(now) || !this.running;
    const found = await pollUntil(text, seen, { deadlineMs: 40_000 }).catch(() => '');
    if (pattern.test(found)) return found;
    throw new Error(`${pattern} did not come\n--- agent\n${this.out}\n--- ait run\n${this.err}`);
  }
}

/** A process that does not exist any more, or only as an entry that nobody has collected. */
export function isGone(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}
