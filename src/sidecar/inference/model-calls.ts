import { rejection, type Rejection } from '../../domain/rejection.ts';
import { CallRefused } from './call-refused.ts';

/** One call of the agent to its model, from its arrival to its last byte. */
export interface OpenCall {
  readonly correlationId: string;
  /** Aborts with a {@link CallRefused} when the call is ended from outside. */
  readonly signal: AbortSignal;
  end(cause: Rejection): void;
  /** The call is over, whatever came of it. */
  close(): void;
}

/** The calls under way: none is begun above the limit, and all end at once when what allowed them is gone. */
export class ModelCalls {
  readonly #open = new Set<OpenCall>();
  readonly #limit: number;
  readonly #onCount: (count: number) => void;
  #onQuiet: (() => void)[] = [];
  #closed: Rejection | undefined;

  /** @param onCount is told after each change how many there are. */
  constructor({ limit, onCount }: { readonly limit: number; readonly onCount: (count: number) => void }) {
    this.#limit = limit;
    this.#onCount = onCount;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Registered before anything of it is checked, so that whatever changes from now on meets it. @throws CallRefused */
  begin(correlationId: string): OpenCall {
    if (this.#closed !== undefined) throw new CallRefused(this.#closed);
    if (this.#open.size >= this.#limit) {
      throw new CallRefused(rejection('INFERENCE_OVERLOADED', `${this.#open.size} calls are under way`));
    }
    const aborting = new AbortController();
    const call: OpenCall = {
      correlationId,
      signal: aborting.signal,
      end: (cause) => aborting.abort(new CallRefused(cause)),
      close: () => {
        if (!this.#open.delete(call)) return;
        this.#onCount(this.#open.size);
        if (this.#open.size > 0) return;
        const waiting = this.#onQuiet;
        this.#onQuiet = [];
        for (const resolve of waiting) resolve();
      },
    };
    this.#open.add(call);
    this.#onCount(this.#open.size);
    return call;
  }

  /** No call is begun any more. */
  close(cause: Rejection): void {
    this.#closed ??= cause;
  }

  endAll(cause: Rejection): void {
    for (const call of this.#open) call.end(cause);
  }

  /** Resolves when no call is under way. */
  quiet(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onQuiet.push(resolve));
  }
}
