import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { processState } from './process-state.ts';

/** One line of a process's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

export interface WaitOptions {
  /** Default 30 s: it tells what never comes from what comes late on a busy machine, and measures nothing. */
  readonly deadlineMs?: number;
  /** Number of the first line that counts; default 0, all lines. See {@link LoggedProcess.mark}. */
  readonly from?: number;
}

const DEADLINE_MS = 30_000;
const SHOWN_LINES = 60;
const running = new Set<ChildProcess>();

/** A test that dies takes its processes with it. */
function endAll(): void {
  for (const child of running) child.kill('SIGKILL');
}
process.on('exit', endAll);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    endAll();
    process.exit(1);
  });
}

/** A process of the mesh, with its log as something to wait for. */
export class LoggedProcess {
  readonly name: string;
  readonly lines: LogLine[] = [];
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #raw: string[] = [];
  readonly #watchers = new Set<() => void>();
  #ended = false;

  constructor(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string) {
    this.name = name;
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
      ...(cwd !== undefined && { cwd }),
    });
    this.#child = child;
    running.add(child);
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => this.#read(line));
    this.exited = new Promise((resolve) => {
      child.once('error', () => resolve(null));
      child.once('close', (code) => resolve(code));
    });
    void this.exited.then(() => {
      running.delete(child);
      this.#ended = true;
      this.#wake();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return !this.#ended;
  }

  /** Where the log ends now: hand it to {@link waitFor} to look at later lines only. */
  mark(): number {
    return this.lines.length;
  }

  /** The first line of this event that satisfies the predicate, at once or as soon as it is written. */
  async waitFor(
    event: string | readonly string[],
    matches: (line: LogLine) => boolean = () => true,
    options: WaitOptions = {},
  ): Promise<LogLine> {
    const { deadlineMs = DEADLINE_MS, from = 0 } = options;
    let seen = from;
    const events = typeof event === 'string' ? [event] : event;
    const look = (): LogLine | undefined => {
      for (; seen < this.lines.length; seen += 1) {
        const line = this.lines[seen];
        if (line !== undefined && events.includes(line.event) && matches(line)) return line;
      }
      return undefined;
    };
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(check);
        then();
      };
      const check = () => {
        const line = look();
        if (line !== undefined) settle(() => resolve(line));
        else if (this.#ended)
          settle(() => reject(new Error(`${this.name} ended before ${events.join(', ')}\n${this.tail()}`)));
      };
      const timer = setTimeout(() => {
        settle(() =>
          reject(
            new Error(
              `no such ${events.join(', ')} of ${this.name} within ${deadlineMs} ms\n${processState(this.pid)}\n${this.tail()}`,
            ),
          ),
        );
      }, deadlineMs);
      this.#watchers.add(check);
      check();
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, and SIGKILL when that does not help. @returns the exit code. */
  async stop(graceMs = 5_000): Promise<number | null> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** The end of the log, for whoever has to find out why a test failed. */
  tail(count = SHOWN_LINES, maxChars = 600): string {
    const lines = this.#raw.slice(-count).map((line) => `  ${line.slice(0, maxChars)}`);
    return [`--- ${this.name}, its last ${lines.length} lines`, ...lines].join('\n');
  }

  #read(line: string): void {
    this.#raw.push(line);
    try {
      this.lines.push(JSON.parse(line) as LogLine);
    } catch {
      this.lines.push({ event: 'unstructured_output', text: line });
    }
    this.#wake();
  }

  #wake(): void {
    for (const check of this.#watchers) check();
  }
}
