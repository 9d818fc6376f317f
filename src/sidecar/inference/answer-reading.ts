import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream/promises';
import { endOf } from './call-refused.ts';
import type { StallWatch } from './stall-watch.ts';
import type { TakeChunk } from './upstream.ts';

export interface AnswerReadingInput {
  readonly answer: IncomingMessage;
  readonly take: TakeChunk;
  readonly watch: StallWatch;
  /** For silence within the answer, in ms. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
  /** Why we ended the connection; `undefined`: we have not. */
  readonly reason: () => Error | undefined;
  /** What the break of a connection that we have not ended comes to. */
  readonly broken: (error: unknown) => Error;
}

/**
 * Takes one answer from its connection, by events and not by iteration: each promise on its way would make a chunk wait
 * for whatever else there is to do.
 */
export class AnswerReading {
  readonly #input: AnswerReadingInput;
  readonly #failed: Promise<never>;
  #fail: (error: unknown) => void = () => undefined;
  #busy: Promise<void> | undefined;
  #isOver = false;

  constructor(input: AnswerReadingInput) {
    this.#input = input;
    this.#failed = new Promise((_resolve, reject) => {
      this.#fail = (error) => {
        this.#isOver = true;
        reject(error);
        input.answer.destroy();
      };
    });
  }

  /** Resolves when all of it has been taken. @throws what `take` throws, the reason of our end, or of its break */
  async whole(): Promise<void> {
    const { answer, signal, reason, broken } = this.#input;
    // The request may be over before its answer has been taken: then it alone would not hear of this.
    const onAbort = (): void => this.#fail(endOf(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) throw endOf(signal);
      answer.on('data', (chunk: Buffer) => this.#chunk(chunk));
      await Promise.race([this.#end(), this.#failed]);
    } catch (error) {
      throw reason() ?? (this.#isOver ? error : broken(error));
    } finally {
      this.#isOver = true;
      signal.removeEventListener('abort', onAbort);
    }
    const ended = reason();
    if (ended !== undefined) throw ended;
  }

  #chunk(chunk: Buffer): void {
    const { answer, take, watch, idleMs, reason } = this.#input;
    // What Node has read already it hands out even after the end of the request, or of the connection.
    if (this.#isOver || reason() !== undefined) return;
    watch.resume(idleMs);
    try {
      this.#busy = take(chunk);
    } catch (error) {
      this.#fail(error);
    }
    if (this.#busy === undefined) return;
    answer.pause();
    // While the agent does not take it, the silence is not the upstream's.
    watch.pause();
    this.#busy.then(() => this.#goOn(), this.#fail);
  }

  #goOn(): void {
    const { answer, watch, idleMs } = this.#input;
    this.#busy = undefined;
    if (this.#isOver) return;
    watch.resume(idleMs);
    answer.resume();
  }

  /** The last chunk may still be on its way to the agent when the end of the answer is here. */
  async #end(): Promise<void> {
    await finished(this.#input.answer, { writable: false });
    await this.#busy;
  }
}
