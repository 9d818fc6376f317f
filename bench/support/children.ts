import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

export type LogRecord = Readonly<Record<string, unknown>> & { readonly event?: string };

const children = new Set<Child>();
const folders: string[] = [];
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

/** A folder that goes with this process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ait-bench-'));
  folders.push(folder);
  return folder;
}

/** One process that this benchmark started, and ends at the latest with itself. */
export class Child {
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #tail: string[] = [];
  readonly #waiting = new Set<(record: LogRecord) => void>();
  #lost: (() => void) | undefined;

  constructor(command: readonly [string, ...string[]], cwd: string, env: Readonly<Record<string, string>> = {}) {
    const [program, ...args] = command;
    const stdio = ['pipe', 'pipe', 'pipe'] as const;
    this.#process = spawn(program, args, { cwd, stdio: [...stdio], env: { ...ownEnvironment(), ...env } });
    this.pid = this.#process.pid ?? 0;
    children.add(this);
    this.#exited = new Promise<void>((resolve) => {
      this.#process.once('error', () => resolve());
      this.#process.once('close', () => resolve());
    }).then(() => {
      children.delete(this);
      this.#lost?.();
    });
    // Whether it ended is told by its end, not by what it no longer reads.
    this.#process.stdin?.on('error', () => undefined);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
  }

  /** The next log line of the event. @throws Error with the last lines when the process ends or is silent instead. */
  event(name: string, withinMs = 20_000): Promise<LogRecord> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        reject(new Error(`${why} before ${name}:\n${this.#tail.join('\n')}`));
      };
      const timer = setTimeout(() => fail(`nothing for ${withinMs} ms`), withinMs);
      const look = (record: LogRecord) => {
        if (record.event !== name) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(record);
      };
      this.#waiting.add(look);
      this.#lost = () => fail('the process ended');
    });
  }

  /** Says something to a process of ours that reads JSON lines, and awaits its answer. */
  ask(question: object, answer: string, withinMs?: number): Promise<LogRecord> {
    const answered = this.event(answer, withinMs);
    this.#process.stdin?.write(`${JSON.stringify(question)}\n`);
    return answered;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** `kill -9`; resolves when it is gone. */
  async killNow(): Promise<void> {
    this.#lost = undefined;
    this.kill('SIGKILL');
    await this.#exited;
  }

  async stop(): Promise<void> {
    this.#lost = undefined;
    this.kill('SIGTERM');
    const timer = setTimeout(() => this.kill('SIGKILL'), 5000);
    await this.#exited;
    clearTimeout(timer);
  }

  #read(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > 8) this.#tail.shift();
    if (!line.startsWith('{') || this.#waiting.size === 0) return;
    const record = JSON.parse(line) as LogRecord;
    for (const look of this.#waiting) look(record);
  }
}

/** Variables that would override a mesh process's configuration are left out. */
function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AIT_')));
}

/** @throws Error naming the Debian package when the program is not there. */
export function findProgram(name: string, debianPackage: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Error(`this benchmark needs ${name}: apt-get install ${debianPackage}`);
}

/** User and system time of a process and the children it has now, in milliseconds; the kernel counts in 10 ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  const own = (Number(fields[11]) + Number(fields[12])) * 10;
  const below = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((id) => id !== '');
  return below.reduce((sum, child) => sum + cpuMs(Number(child)), own);
}

/** Resident memory in MB: now, and the most there ever was. */
export function memoryMb(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { now: mb('VmRSS'), peak: mb('VmHWM') };
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** @throws Error when nobody listens in time. */
export async function listening(port: number, withinMs = 5000): Promise<void> {
  for (const end = performance.now() + withinMs; ;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    if (performance.now() > end) throw new Error(`nobody listens on port ${port}`);
    await pause(20);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
