import { after, systemClock, type Clock } from '../../platform/clock.ts';

/** What a process of ours logs: one JSON object a line, with the event's name. */
export interface LogRecord {
  readonly event: string;
  readonly level?: string;
  readonly [field: string]: unknown;
}

/** One line that a child wrote. */
export interface OutputLine {
  /** The child's name, such as `sidecar planner`. */
  readonly source: string;
  /** When it arrived here, on the monotonic clock, in ms. */
  readonly at: number;
  readonly text: string;
  /** The line as JSON, where it is an object. */
  readonly json?: Readonly<Record<string, unknown>>;
  /** The same, where it is a log line of a mesh process. */
  readonly record?: LogRecord;
}

export interface Expectation {
  /** In words, for the message when it does not come: `the session's end`. */
  readonly what: string;
  readonly source: string;
  readonly match: (line: OutputLine) => boolean;
  /** Only lines at or after this position count, see {@link Transcript.position}. Default: all that are kept. */
  readonly from?: number;
  /** Default 30 000: on a slow machine a process takes its time to start. */
  readonly deadlineMs?: number;
}

/** Something that was waited for did not come in time. */
export class DeadlineMissed extends Error {
  override readonly name = 'DeadlineMissed';
}

const KEPT_LINES = 20_000;
const SHOWN_LINES = 5;

/** Everything the children wrote, in the order of its arrival: to be waited for, and to be told of. */
export class Transcript {
  readonly #clock: Clock;
  readonly #listeners = new Set<(line: OutputLine) => void>();
  readonly #waiting = new Set<() => void>();
  #lines: OutputLine[] = [];
  #dropped = 0;
  #closed = false;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Where the next line will stand. Take it before an action, to wait for what follows from the action. */
  get position(): number {
    return this.#dropped + this.#lines.length;
  }

  add(source: string, text: string): void {
    const json = parseObject(text);
    const isRecord = typeof json?.['event'] === 'string';
    const line: OutputLine = {
      source,
      at: this.#clock.monotonic(),
      text,
      ...(json !== undefined && { json }),
      ...(isRecord && { record: json as LogRecord }),
    };
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) {
      this.#dropped += KEPT_LINES / 2;
      this.#lines = this.#lines.slice(KEPT_LINES / 2);
    }
    for (const listener of this.#listeners) listener(line);
  }

  /** @returns a function that unsubscribes. */
  onLine(listener: (line: OutputLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Lines from a position on. */
  since(position: number): readonly OutputLine[] {
    return this.#lines.slice(Math.max(0, position - this.#dropped));
  }

  /** The first line that matches, be it there already or still to come. @throws DeadlineMissed with the last lines. */
  waitFor(expectation: Expectation): Promise<OutputLine> {
    const { source, match, from = 0, deadlineMs = 30_000 } = expectation;
    const fits = (line: OutputLine): boolean => line.source === source && match(line);
    const found = this.since(from).find(fits);
    if (found !== undefined) return Promise.resolve(found);
    if (this.#closed) return Promise.reject(new DeadlineMissed(`${source}: stopped before ${expectation.what} came`));
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        cancel();
        unsubscribe();
        this.#waiting.delete(giveUp);
        settle();
      };
      const cancel = after({
        delayMs: deadlineMs,
        run: () => finish(() => reject(this.#missed(expectation, deadlineMs))),
      });
      const unsubscribe = this.onLine((line) => (fits(line) ? finish(() => resolve(line)) : undefined));
      const giveUp = (): void => {
        finish(() => reject(new DeadlineMissed(`${source}: stopped before ${expectation.what} came`)));
      };
      this.#waiting.add(giveUp);
    });
  }

  /** Nothing will come any more: whoever waits is told so. */
  close(): void {
    this.#closed = true;
    for (const giveUp of this.#waiting) giveUp();
  }

  #missed({ what, source }: Expectation, deadlineMs: number): DeadlineMissed {
    const last = this.#lines.filter((line) => line.source === source).slice(-SHOWN_LINES);
    const shown = last.map(({ text }) => `\n    ${text.slice(0, 400)}`).join('');
    return new DeadlineMissed(
      `${source}: ${what} did not come within ${deadlineMs} ms; its last lines: ${shown || 'none'}`,
    );
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    // An agent may print what it likes.
    return undefined;
  }
}
