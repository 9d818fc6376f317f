import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { REJECTIONS, type RejectionCode } from '../../domain/rejection.ts';
import { after } from '../../platform/clock.ts';
import type { Blocker } from '../../platform/readiness.ts';
import { APP_BLOCKERS } from '../../sidecar/app/app-watch.ts';
import type { Sidecar } from '../../sidecar/sidecar.ts';

export interface UntilUsableOptions {
  readonly sidecar: Pick<Sidecar, 'start' | 'stop' | 'readiness'>;
  readonly waitMs: number;
  /** Gives up when it aborts. */
  readonly stopping: AbortSignal;
  /** A line for whoever waits. */
  readonly tell: (line: string) => void;
}

/** Codes of a sidecar that has only just begun: no verdict on its agent. */
const BEGINNING: ReadonlySet<string> = new Set(['AIT_MISSING', 'STATE_MISSING']);
/** After this long it is said what is waited for, whatever it is, in ms. */
const TELL_ALL_AFTER_MS = 1_000;

/**
 * Starts a sidecar and waits until its agent can use it, telling what is in the way. When it is not usable in time, or
 * somebody asks to stop, it is stopped again.
 *
 * @returns false when it was asked to stop
 * @throws MeshError `AUTHORITY_UNREACHABLE`, `AGENT_REFUSED` or `NOT_READY` after `waitMs`; before that `JOIN_REFUSED`
 * and other errors that waiting does not help
 */
export async function untilUsable({ sidecar, waitMs, stopping, tell }: UntilUsableOptions): Promise<boolean> {
  const mesh = sidecar.readiness.without(APP_BLOCKERS);
  const late = new AbortController();
  const cancelLate = after({ delayMs: waitMs, run: () => late.abort(new Error('it took too long')) });
  const giveUp = AbortSignal.any([stopping, late.signal]);
  const quiet = tellBlockers(sidecar, tell);
  let started = false;
  try {
    await sidecar.start(giveUp);
    started = true;
    await mesh.whenReady(giveUp);
    return true;
  } catch (error) {
    // Before it is stopped, which puts other things in the way.
    const blockers = mesh.blockers();
    quiet();
    if (started) await sidecar.stop(giveUp);
    if (stopping.aborted) return false;
    throw late.signal.aborted ? notUsable(blockers, waitMs) : rootOf(error);
  } finally {
    quiet();
    cancelLate();
  }
}

/** Tells each time the mesh turns against the agent that is running, and when it is in order again. */
export function tellStanding({ readiness }: Pick<Sidecar, 'readiness'>, tell: (line: string) => void): () => void {
  let refused: string | undefined;
  return readiness.onChange((blockers) => {
    const standing = blockers.find(({ name }) => name === 'standing');
    if (standing?.reason === refused) return;
    refused = standing?.reason;
    if (standing === undefined) tell('the mesh admits this agent again');
    else if (codeIn(standing) !== undefined) tell(`the mesh refuses this agent: ${withAdvice(standing)}`);
  });
}

/** @returns a function that has it tell nothing more */
function tellBlockers({ readiness }: Pick<Sidecar, 'readiness'>, tell: (line: string) => void): () => void {
  const told = new Set(readiness.blockers().map(({ reason }) => reason));
  const tellNew = (blockers: readonly Blocker[]) => {
    for (const blocker of blockers) {
      if (APP_BLOCKERS.has(blocker.name) || told.has(blocker.reason)) continue;
      told.add(blocker.reason);
      if (blocker.name !== 'standing' || codeIn(blocker) !== undefined) tell(`waiting: ${withAdvice(blocker)}`);
    }
  };
  const unsubscribe = readiness.onChange(tellNew);
  const initial = readiness.blockers();
  const cancel = after({
    delayMs: TELL_ALL_AFTER_MS,
    run: () => {
      const left = readiness.blockers().filter(({ reason }) => initial.some((each) => each.reason === reason));
      if (left.length > 0) tell(`waiting: ${left.map(({ reason }) => reason).join('; ')}`);
    },
  });
  return () => {
    unsubscribe();
    cancel();
  };
}

function notUsable(blockers: readonly Blocker[], waitMs: number): MeshError {
  const list = blockers.map(({ name, reason }) => `\n    ${name}: ${reason}`).join('');
  const message = `the sidecar was not usable after ${waitMs / 1000} s, and the agent was not started; it waits for:${list}`;
  const refusal = blockers.map(codeIn).find((code) => code !== undefined);
  if (refusal !== undefined) return new MeshError('AGENT_REFUSED', message, { hint: REJECTIONS[refusal].action });
  if (blockers.some(({ name }) => name === 'join')) {
    const hint = 'is `ait authority` running, and is authority.address (or the join credential) right?';
    return new MeshError('AUTHORITY_UNREACHABLE', message, { hint });
  }
  return new MeshError('NOT_READY', message, { hint: 'the log of the sidecar has more; --wait gives it more time' });
}

function withAdvice(blocker: Blocker): string {
  const code = codeIn(blocker);
  return code === undefined ? blocker.reason : `${blocker.reason}\n  try: ${REJECTIONS[code].action}`;
}

/** The rejection code of a verdict on our own agent. */
function codeIn({ name, reason }: Blocker): RejectionCode | undefined {
  const [code = ''] = reason.split(':', 1);
  const isVerdict = name === 'standing' && Object.hasOwn(REJECTIONS, code) && !BEGINNING.has(code);
  return isVerdict ? (code as RejectionCode) : undefined;
}

/** What the component says that could not start, not that it could not. */
function rootOf(error: unknown): unknown {
  return isMeshError(error, 'START_FAILED') && isMeshError(error.cause) ? error.cause : error;
}
