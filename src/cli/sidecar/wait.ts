import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '../../domain/mesh-error.ts';
import { systemClock } from '../../platform/clock.ts';
import type { CommandOutput } from '../command-output.ts';
import { parseDurationFlag } from '../duration-flag.ts';
import { EXIT } from '../exit-codes.ts';
import { askAdmin } from '../mesh-runner/admin-client.ts';
import { adminSocketOf, type SidecarTarget } from './sidecar-target.ts';

export interface WaitFlags extends SidecarTarget {
  readonly mesh?: true;
  readonly timeout: string;
  readonly json?: true;
}

/** Another process, perhaps one that is not there yet: it can only be asked again and again. In ms. */
const ASK_EVERY_MS = 200;

interface Blocker {
  readonly name: string;
  readonly reason: string;
}

/** What one question brought: blockers, none of them where it is ready; or why there was no answer. */
type Answer = { readonly blockers: readonly Blocker[] } | { readonly nobody: string };

/**
 * Asks a sidecar until it is ready, and says what it waited for when it gives up.
 *
 * @throws MeshError `CONFIG_INVALID` for flags that make no sense; `ADMIN_REFUSED` for an answer that no sidecar gives
 */
export async function waitUntilReady(flags: WaitFlags, output: CommandOutput): Promise<void> {
  const timeoutMs = parseDurationFlag('--timeout', flags.timeout);
  const socket = await adminSocketOf(flags);
  const startedAt = systemClock.monotonic();
  const waited = () => systemClock.monotonic() - startedAt;
  for (;;) {
    const answer = await ask(socket, flags.mesh === true ? '/readyz/mesh' : '/readyz');
    const ready = 'blockers' in answer && answer.blockers.length === 0;
    if (!ready && waited() + ASK_EVERY_MS < timeoutMs) {
      await sleep(ASK_EVERY_MS);
      continue;
    }
    tell({ answer, ready, socket, waitedMs: Math.round(waited()) }, flags, output);
    return;
  }
}

interface Outcome {
  readonly answer: Answer;
  readonly ready: boolean;
  readonly socket: string;
  readonly waitedMs: number;
}

function tell({ answer, ready, socket, waitedMs }: Outcome, { json, timeout }: WaitFlags, output: CommandOutput): void {
  const answered = 'blockers' in answer;
  output.exitCode(ready ? EXIT.ok : answered ? EXIT.failed : EXIT.unreachable);
  if (json === true) {
    output.print(JSON.stringify({ ready, answered, waitedMs, blockers: answered ? answer.blockers : [] }));
  } else if (ready) output.print('ready');
  else if (answered) {
    const lines = answer.blockers.map(({ name, reason }) => `  ${name}: ${reason}`);
    output.error(`not ready after ${timeout}; it waits for:\n${lines.join('\n')}`);
  } else {
    output.error(
      `no sidecar answered at ${socket} within ${timeout}: ${answer.nobody}\n  try: is it running, as whom?`,
    );
  }
}

/** Everything but a readiness is "not yet": the socket may be there before, or after, the process behind it. */
async function ask(socket: string, path: string): Promise<Answer> {
  let status: number;
  let answer: string;
  try {
    ({ status, answer } = await askAdmin(socket, { path }));
  } catch (error) {
    return { nobody: (error as Error).message };
  }
  if (status === 200 || status === 503) return { blockers: JSON.parse(answer) as readonly Blocker[] };
  throw new MeshError('ADMIN_REFUSED', `${socket} answered ${path} with ${status}: ${answer.trim().slice(0, 200)}`, {
    hint: 'is this the socket of a sidecar?',
  });
}
