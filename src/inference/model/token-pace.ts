import { after, type Clock } from '../../platform/clock.ts';

export interface TokenPaceOptions {
  readonly count: number;
  /** 0: as fast as they are taken. */
  readonly tokensPerSecond: number;
  readonly clock: Clock;
  /** Takes the tokens from one index up to, not including, another. @returns whether it can take more at once */
  readonly take: (from: number, to: number) => boolean;
  /** Calls back once more can be taken. */
  readonly whenTaken: (resume: () => void) => void;
  /** Called once, after the last token. */
  readonly done: () => void;
  /** Runs something later; returns what cancels it. Default: the machine's timers. */
  readonly later?: (delayMs: number, run: () => void) => () => void;
}

/** Without a rate: so many tokens between two turns of the event loop, so that one answer does not hold up the others. */
const BATCH = 64;
const SHORTEST_WAIT_MS = 1;

/**
 * Hands out tokens at a rate. Each is due by its number and the time of the start, so that lateness does not add up; what
 * is due together goes together, and whoever reads slowly is waited for, without a timer.
 *
 * @returns what gives the rest up; calling it late or twice does nothing.
 */
export function paceTokens(options: TokenPaceOptions): () => void {
  const { count, tokensPerSecond, clock, take, whenTaken, done } = options;
  const later = options.later ?? ((delayMs, run) => after({ delayMs, run }));
  const startedAt = clock.monotonic();
  let sent = 0;
  let ended = false;
  let cancelTimer = (): void => undefined;

  const dueCount = (): number => {
    if (tokensPerSecond === 0) return Math.min(count, sent + BATCH);
    return Math.min(count, Math.floor(((clock.monotonic() - startedAt) * tokensPerSecond) / 1000));
  };
  const waitMs = (): number => {
    if (tokensPerSecond === 0) return 0;
    const dueAt = startedAt + ((sent + 1) * 1000) / tokensPerSecond;
    return Math.max(SHORTEST_WAIT_MS, dueAt - clock.monotonic());
  };
  const step = (): void => {
    if (ended) return;
    const due = dueCount();
    const more = due > sent ? take(sent, due) : true;
    sent = Math.max(sent, due);
    if (sent >= count) {
      ended = true;
      done();
    } else if (more) cancelTimer = later(waitMs(), step);
    else whenTaken(step);
  };
  step();
  return () => {
    ended = true;
    cancelTimer();
  };
}
