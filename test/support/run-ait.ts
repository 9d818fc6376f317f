import { LoggedProcess } from './child-process.ts';
import { AIT_BINARY } from './test-agent.ts';

export interface Outcome {
  readonly code: number | null;
  /** Both streams, line by line. */
  readonly output: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: where the test runs. */
  readonly cwd?: string;
  /** Default 60 s; a process that is still there then is killed, and its code is null. */
  readonly deadlineMs?: number;
}

/** Runs `ait` with these arguments to its end. */
export async function runAit(
  args: readonly string[],
  { env = {}, cwd, deadlineMs = 60_000 }: RunOptions = {},
): Promise<Outcome> {
  const child = new LoggedProcess(`ait ${args[0] ?? ''}`, [AIT_BINARY, ...args], { ...env }, cwd);
  const timer = setTimeout(() => child.signal('SIGKILL'), deadlineMs);
  const code = await child.exited;
  clearTimeout(timer);
  return { code, output: child.tail(1_000, 1_000_000) };
}
