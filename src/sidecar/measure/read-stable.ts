import { after, type Clock } from '../../platform/clock.ts';
import type { FailureReason } from './measurement-problem.ts';

/** What one look at a source gave. `key` stands for all of it: two readings agree when their keys are equal. */
export type Reading<T> =
  | { readonly ok: true; readonly key: string; readonly value: T }
  | { readonly ok: false; readonly key: string; readonly reason: FailureReason; readonly detail: string };

export interface ReadStableOptions<T> {
  readonly read: () => Reading<T> | Promise<Reading<T>>;
  /** The key that was settled last; `undefined` when nothing was. */
  readonly settledKey: string | undefined;
  readonly clock: Clock;
  /** Called once, as soon as a reading differs from what was settled last. */
  readonly onUnsettled?: () => void;
  /** Pause between two readings, in ms. Default 2 (a timer makes that 2 to 3). */
  readonly gapMs?: number;
  /** How long the source may keep changing, and how long a failure must stand, in ms. Default 30. */
  readonly limitMs?: number;
}

/** A process that was not scheduled for a while has seen few readings: that alone is neither a failure nor unstable. */
const FEWEST_READINGS = 5;

/**
 * Reads until a change counts: two successive readings agree. What equals the settled value at first sight needs no
 * second look, since the settled value was the first.
 *
 * A *failure* counts only after it stood for `limitMs`: a writer that truncates and then writes can be suspended between
 * the two for many milliseconds, and a half-written file is neither empty nor drift. A source that still changes after
 * `limitMs` fails closed, as `unstable`.
 */
export async function readStable<T>(options: ReadStableOptions<T>): Promise<Reading<T>> {
  const { read, settledKey, clock, gapMs = 2, limitMs = 30 } = options;
  const startedAt = clock.monotonic();
  let previous = await read();
  if (previous.key === settledKey) return previous;
  options.onUnsettled?.();

  let standsSince = clock.monotonic();
  let otherContentSeen = previous.ok;
  for (let readings = 2; ; readings += 1) {
    await pause(gapMs);
    const next = await read();
    const now = clock.monotonic();
    // Back at the settled content, with only failures in between: it was being written, and nothing has changed.
    if (next.key === settledKey && !otherContentSeen) return next;
    if (next.key === previous.key) {
      if (next.ok || (now - standsSince >= limitMs && readings >= FEWEST_READINGS)) return next;
    } else {
      if (now - startedAt >= limitMs && readings >= FEWEST_READINGS) return unstable(limitMs);
      standsSince = now;
    }
    otherContentSeen ||= next.ok;
    previous = next;
  }
}

function unstable<T>(limitMs: number): Reading<T> {
  return { ok: false, key: '!unstable', reason: 'unstable', detail: `kept changing for more than ${limitMs} ms` };
}

/** Keeps the process alive: a command that measures once waits for nothing else. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    after({ delayMs, run: resolve });
  });
}
