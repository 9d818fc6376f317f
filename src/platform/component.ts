import { isMeshError, MeshError } from '../domain/mesh-error.ts';
import { after, systemClock } from './clock.ts';
import type { Logger } from './logger.ts';

/**
 * A part of a process with a life: a listener, a watcher, a client.
 *
 * `start` resolves when the part does its work (a listener is bound); it gives up soon after its signal aborts. `stop`
 * refuses what is new, drains, then destroys, and resolves by the deadline; it may be called on a part whose start
 * failed or never ran, and more than once.
 */
export interface Component {
  readonly name: string;
  start(signal: AbortSignal): Promise<void>;
  /** `deadlineMs` is how long it may take from now. */
  stop(options: StopOptions): Promise<void>;
}

export interface StopOptions {
  /** How long stopping may take from now, in ms, 0 or more. */
  readonly deadlineMs: number;
}

export interface ComponentStackOptions {
  readonly logger?: Logger;
  /** How long stopping may take when a start failed, in ms. Default 5 000. */
  readonly failedStartDeadlineMs?: number;
}

/** Components as one: started in order, stopped in reverse; the first failure to start stops what has started. */
export class ComponentStack {
  readonly #components: readonly Component[];
  readonly #logger: Logger | undefined;
  readonly #failedStartDeadlineMs: number;
  /** Ends starting, and only that: a component never sees it abort once all have started. */
  readonly #abort = new AbortController();
  readonly #begun: Component[] = [];
  #startLoop: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** The names of components must differ: they are what an operator reads. @throws RangeError when they do not. */
  constructor(components: readonly Component[], options: ComponentStackOptions = {}) {
    const names = components.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) throw new RangeError(`two components are named ${twice}`);
    this.#components = [...components];
    this.#logger = options.logger;
    this.#failedStartDeadlineMs = options.failedStartDeadlineMs ?? 5_000;
  }

  /**
   * Starts all, one after the other. A second call waits for the first.
   *
   * @throws MeshError `START_FAILED` naming the component, with its error as cause; everything started is stopped then.
   */
  start(signal?: AbortSignal): Promise<void> {
    this.#starting ??= this.#startAll(signal);
    return this.#starting;
  }

  /**
   * Stops in reverse order what has been started, also while starting still goes on. A component that fails or overruns
   * does not keep the others from stopping. A second call waits for the first.
   *
   * @throws MeshError `STOP_FAILED` naming every component that failed, their errors in an AggregateError as cause.
   */
  stop(options: StopOptions): Promise<void> {
    this.#stopping ??= this.#stopAll(options.deadlineMs);
    return this.#stopping;
  }

  async #startAll(signal: AbortSignal | undefined): Promise<void> {
    const giveUp = (): void => this.#abort.abort(signal?.reason);
    if (signal?.aborted === true) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      this.#startLoop = this.#startInOrder();
      await this.#startLoop;
    } catch (error) {
      // Failing to stop must not hide why the start failed; it has been logged by then.
      await this.stop({ deadlineMs: this.#failedStartDeadlineMs }).catch(() => undefined);
      throw error;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  async #startInOrder(): Promise<void> {
    let current = 'the process';
    try {
      for (const component of this.#components) {
        this.#abort.signal.throwIfAborted();
        current = component.name;
        this.#begun.push(component);
        await component.start(this.#abort.signal);
        this.#logger?.debug('component_started', { component: current });
      }
      this.#abort.signal.throwIfAborted();
    } catch (cause) {
      if (this.#abort.signal.aborted) this.#logger?.info('component_start_given_up', { component: current });
      else this.#logger?.error('component_start_failed', { component: current, error: cause });
      throw new MeshError('START_FAILED', `${current} did not start: ${codeOf(cause)}${messageOf(cause)}`, { cause });
    } finally {
      this.#startLoop = undefined;
    }
  }

  async #stopAll(deadlineMs: number): Promise<void> {
    const deadline = new Deadline(deadlineMs);
    const failed: { name: string; error: unknown }[] = [];
    try {
      if (this.#startLoop !== undefined || this.#starting === undefined) {
        this.#abort.abort(new Error('it is being stopped'));
        // A start in progress settles first, so that a listener bound after its own stop cannot stay behind.
        await deadline.bound(this.#startLoop ?? Promise.resolve()).catch(() => undefined);
      }
      for (let component = this.#begun.pop(); component !== undefined; component = this.#begun.pop()) {
        try {
          await deadline.bound(component.stop({ deadlineMs: deadline.leftMs() }));
          this.#logger?.debug('component_stopped', { component: component.name });
        } catch (error) {
          failed.push({ name: component.name, error });
          this.#logger?.error('component_stop_failed', { component: component.name, error });
        }
      }
    } finally {
      deadline.clear();
    }
    if (failed.length === 0) return;
    const names = failed.map(({ name }) => name).join(', ');
    const cause = new AggregateError(failed.map(({ error }) => error));
    throw new MeshError('STOP_FAILED', `did not stop cleanly: ${names}`, { cause });
  }
}

/** One deadline shared by many waits. */
class Deadline {
  readonly #atMs: number;
  readonly #passed: Promise<never>;
  readonly #cancel: () => void;

  constructor(durationMs: number) {
    this.#atMs = systemClock.monotonic() + durationMs;
    const { promise, reject } = withResolvers();
    this.#passed = promise;
    // A wait that settles in time leaves this one unobserved.
    this.#passed.catch(() => undefined);
    const error = new Error(`not done within ${durationMs} ms`);
    this.#cancel = after({ delayMs: durationMs, run: () => reject(error) });
  }

  leftMs(): number {
    return Math.max(0, Math.floor(this.#atMs - systemClock.monotonic()));
  }

  /** The outcome of `work`, or a rejection once the deadline has passed; `work` itself goes on. */
  bound<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#passed]);
  }

  clear(): void {
    this.#cancel();
  }
}

function withResolvers(): { promise: Promise<never>; reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<never>((_resolve, refuse) => {
    reject = refuse;
  });
  return { promise, reject };
}

/** The code of the cause is what the documentation is searched for. */
function codeOf(error: unknown): string {
  return isMeshError(error) ? `${error.code}: ` : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
