import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../platform/clock.ts';
import type { ExitStatus } from '../mesh-runner/child.ts';
import type { OrphanGuard } from '../mesh-runner/orphan-guard.ts';
import { CANNOT_EXECUTE, NOT_FOUND } from './find-program.ts';

export interface AgentProcessOptions {
  /** Program and arguments; run without a shell. */
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly guard: OrphanGuard;
}

/** How long what the agent left running has after SIGTERM, in ms, and how often it is looked for: it is no child of ours. */
const LEFTOVER_GRACE_MS = 2_000;
const LOOK_EVERY_MS = 25;

/**
 * The agent. It has our input and output, and leads a process group of its own: Ctrl-C in a terminal reaches us alone,
 * so that it reaches the agent once, through us; and what it leaves running is ended with it.
 */
export class AgentProcess {
  /** Settles when it has ended. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  readonly #process: ChildProcess;
  readonly #guard: OrphanGuard;

  constructor({ command, env, guard }: AgentProcessOptions) {
    const [program, ...args] = command;
    this.#guard = guard;
    this.#process = spawn(program, args, { env: { ...env }, stdio: 'inherit', detached: true });
    const { pid } = this.#process;
    if (pid !== undefined) guard.watch(pid);
    this.exited = new Promise((resolve) => {
      this.#process.once('error', (error) => resolve({ code: null, signal: null, error }));
      this.#process.once('exit', (code, signal) => resolve({ code, signal }));
    });
  }

  /** To the agent itself; what it started is its own business. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** To the agent and all it started in its group, as a terminal does. @returns whether anybody was there. */
  signalGroup(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.#process;
    if (pid === undefined) return false;
    try {
      return process.kill(-pid, signal);
    } catch (error) {
      // Gone by itself. EPERM: somebody is there, as another user.
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
  }

  /** Ends what the agent has left running, by force after a while, or at once when `cut` aborts. */
  async endLeftovers(cut: AbortSignal): Promise<void> {
    if (this.#process.pid === undefined) return;
    const until = systemClock.monotonic() + LEFTOVER_GRACE_MS;
    if (this.signalGroup('SIGTERM')) this.signalGroup('SIGCONT');
    while (this.signalGroup(0) && !cut.aborted && systemClock.monotonic() < until) await sleep(LOOK_EVERY_MS);
    this.signalGroup('SIGKILL');
    this.#guard.forget(this.#process.pid);
  }
}

/** As a shell tells it: 128+n for signal n. */
export function exitCodeOf({ code, signal, error }: ExitStatus): number {
  if (error !== undefined) return (error as NodeJS.ErrnoException).code === 'ENOENT' ? NOT_FOUND : CANNOT_EXECUTE;
  return code ?? codeOfSignal(signal ?? 'SIGKILL');
}

export function codeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
