import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { credentials, type Client } from '@grpc/grpc-js';
import { EchoClient, type EchoStub } from './grpc-app.ts';

/** One way to call a peer through its local socket. */
export interface Calling {
  /** Sends a text and gets it back. @throws Error when it does not come back */
  call(text: string): Promise<void>;
  close(): void;
  /** How long one connection was kept at most, ms. */
  longestMs?(): number;
}

/** Who calls whom, and how. */
export interface CallRoute {
  /** Name of the instance that calls. */
  readonly from: string;
  /** Name of the agent that is called. */
  readonly to: string;
  readonly kind: string;
}

export interface FailedCall extends CallRoute {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly failedAt: number;
  readonly error: string;
}

/** No call takes this long, however busy the machine is: one that does hangs, ms. */
const CALL_DEADLINE_MS = 30_000;

/** A caller that calls again and again, and counts. The next call begins a while after the last ended, however. */
export class SteadyCalls {
  readonly route: CallRoute;
  readonly failed: FailedCall[] = [];
  succeeded = 0;
  readonly #calling: Calling;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(route: CallRoute, calling: Calling, { everyMs }: { readonly everyMs: number }) {
    this.route = route;
    this.#calling = calling;
    this.#running = this.#run(everyMs);
  }

  /** Calls until one succeeds, and counts from then on. @throws Error when none does in time */
  static async begin(
    route: CallRoute,
    calling: Calling,
    { everyMs, withinMs = 30_000 }: { readonly everyMs: number; readonly withinMs?: number },
  ): Promise<SteadyCalls> {
    const until = performance.now() + withinMs;
    for (;;) {
      try {
        await calling.call(`${route.from} begins`);
        return new SteadyCalls(route, calling, { everyMs });
      } catch (cause) {
        if (performance.now() > until) throw new Error(`no call ${nameOf(route)} succeeded in time`, { cause });
        await delay(everyMs);
      }
    }
  }

  /** How long a stream was kept at most, ms; 0 for other kinds. */
  get longestMs(): number {
    return this.#calling.longestMs?.() ?? 0;
  }

  /** Lets the call that is under way finish, and counts it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#calling.close();
  }

  async #run(everyMs: number): Promise<void> {
    for (let call = 0; !this.#stopped; call += 1) {
      const startedAt = Date.now();
      try {
        await this.#calling.call(`${this.route.from} ${call}`);
        this.succeeded += 1;
      } catch (error) {
        this.failed.push({ ...this.route, startedAt, failedAt: Date.now(), error: (error as Error).message });
      }
      await delay(everyMs);
    }
  }
}

/** A connection for each call, as a client without keep-alive makes them. */
export function connectionPerCall(socketPath: string): Calling {
  return {
    call: (text) =>
      new Promise((resolve, reject) => {
        let received = '';
        const socket = connect({ path: socketPath, allowHalfOpen: true });
        socket.setTimeout(CALL_DEADLINE_MS, () => socket.destroy(new Error('no answer in time')));
        socket.setEncoding('utf8');
        socket.on('data', (chunk: string) => {
          received += chunk;
          if (received === text) socket.end();
        });
        socket.on('error', reject);
        socket.once('end', () => socket.destroy());
        socket.once('close', () => {
          if (received === text) resolve();
          else reject(new Error(`the connection ended after ${received.length} of ${text.length} characters`));
        });
        socket.write(text);
      }),
    close: () => undefined,
  };
}

/** One gRPC channel for all calls, with grpc-js as it comes: nothing is retried that the other side may have seen. */
export function grpcCalling(socketPath: string): Calling {
  const client: Client & EchoStub = new EchoClient(`unix:${socketPath}`, credentials.createInsecure());
  return {
    call: (text) =>
      new Promise((resolve, reject) => {
        client.echo(Buffer.from(text), { deadline: Date.now() + CALL_DEADLINE_MS }, (error, answer) => {
          if (error !== null) reject(error);
          else if (answer?.toString() === text) resolve();
          else reject(new Error('another answer than the text that was sent'));
        });
      }),
    close: () => client.close(),
  };
}

/** One connection for all calls, kept as long as it lives. A call that meets its end fails; the next one makes another. */
export function streamCalling(socketPath: string): Calling {
  let kept: Stream | undefined;
  let longestMs = 0;
  return {
    call: async (text) => {
      kept ??= new Stream(socketPath);
      try {
        await kept.call(text);
        longestMs = Math.max(longestMs, kept.ageMs);
      } catch (error) {
        kept.close();
        kept = undefined;
        throw error;
      }
    },
    close: () => kept?.close(),
    longestMs: () => longestMs,
  };
}

class Stream {
  readonly #socket: Socket;
  readonly #openedAt = performance.now();
  #received = '';
  #look: (() => void) | undefined;
  #ended: Error | undefined;

  constructor(path: string) {
    this.#socket = connect({ path });
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (chunk: string) => {
      this.#received += chunk;
      this.#look?.();
    });
    this.#socket.on('error', (error) => (this.#ended = error));
    this.#socket.once('close', () => {
      this.#ended ??= new Error(`the stream ended after ${Math.round(this.ageMs)} ms`);
      this.#look?.();
    });
  }

  get ageMs(): number {
    return performance.now() - this.#openedAt;
  }

  async call(text: string): Promise<void> {
    this.#received = '';
    const timer = setTimeout(() => this.#socket.destroy(new Error('no answer in time')), CALL_DEADLINE_MS);
    if (this.#ended === undefined) this.#socket.write(text);
    while (this.#received.length < text.length && this.#ended === undefined) {
      await new Promise<void>((resolve) => (this.#look = resolve));
    }
    clearTimeout(timer);
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#received !== text) throw new Error('another answer than the text that was sent');
  }

  close(): void {
    this.#socket.destroy();
  }
}

function nameOf({ from, to, kind }: CallRoute): string {
  return `from ${from} to ${to} (${kind})`;
}

/** Who failed how often, for the message of a test that expected none. */
export function describeFailures(callers: readonly SteadyCalls[]): string {
  const failed = callers.flatMap((caller) => caller.failed).toSorted((a, b) => a.failedAt - b.failedAt);
  const first = failed[0]?.failedAt ?? 0;
  const lines = failed.map(
    (call) => `+${call.failedAt - first} ms ${nameOf(call)}, ${call.failedAt - call.startedAt} ms: ${call.error}`,
  );
  const succeeded = callers.reduce((sum, caller) => sum + caller.succeeded, 0);
  return [`${failed.length} calls failed, ${succeeded} succeeded`, ...lines.slice(0, 40)].join('\n');
}
