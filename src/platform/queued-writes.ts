import { write } from 'node:fs';
import { after } from './clock.ts';

/** At most so much waits, in characters; what comes then is not taken. */
const MAX_WAITING = 1024 * 1024;
/** A write below PIPE_BUF (4096 bytes) is whole: another writer's line never falls into the middle of one of ours. */
const CHUNK = 3500;
/** How long a reader that is slow is left alone, in ms. */
const RETRY_MS = 10;

/** Lines for a file descriptor, written in the background, in order, one chunk at a time. Nobody waits for them. */
export class QueuedWrites {
  readonly #fd: number;
  readonly #maxWaiting: number;
  readonly #writeNow: (text: string) => void;
  #waiting: string[] = [];
  #chars = 0;
  #busy = false;
  #open = true;

  /**
   * @param writeNow takes what still waits when the process ends.
   * @param maxWaiting characters. Default 1 Mi.
   */
  constructor(options: {
    readonly fd: number;
    readonly writeNow: (text: string) => void;
    readonly maxWaiting?: number;
  }) {
    this.#fd = options.fd;
    this.#writeNow = options.writeNow;
    this.#maxWaiting = options.maxWaiting ?? MAX_WAITING;
    process.once('exit', () => this.#finish());
  }

  /** @returns false, having dropped it, when there is no room or nobody reads any more. */
  add(line: string): boolean {
    if (!this.#open || this.#chars + line.length > this.#maxWaiting) return false;
    this.#waiting.push(line);
    this.#chars += line.length;
    if (this.#busy) return true;
    this.#busy = true;
    setImmediate(() => this.#next());
    return true;
  }

  #next(): void {
    let taken = 0;
    let chars = 0;
    for (const line of this.#waiting) {
      if (taken > 0 && chars + line.length > CHUNK) break;
      chars += line.length;
      taken += 1;
    }
    this.#busy = taken > 0;
    if (taken === 0) return;
    this.#chars -= chars;
    this.#write(Buffer.from(this.#waiting.splice(0, taken).join('')));
  }

  #write(chunk: Buffer): void {
    write(this.#fd, chunk, (error, written) => {
      if (error === null) {
        if (written < chunk.length) this.#write(chunk.subarray(written));
        else this.#next();
      } else if (error.code === 'EAGAIN') after({ delayMs: RETRY_MS, run: () => this.#write(chunk) });
      else this.#close();
    });
  }

  /** Nobody reads: the log ends, not the process. */
  #close(): void {
    this.#open = this.#busy = false;
    this.#waiting = [];
    this.#chars = 0;
  }

  #finish(): void {
    if (this.#waiting.length > 0) this.#writeNow(this.#waiting.join(''));
    this.#close();
  }
}
