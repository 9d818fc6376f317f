import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { credentials, type Client } from '@grpc/grpc-js';
import { EchoClient, type EchoStub } from './grpc-app.ts';

/** One way to call a peer through its local socket. */
export interface Calling {
  /** Sends a text and gets it back. @throws Error when it does not come back */
  call(text: string): Promise<void>;
  close(): void;
}

export interface FailedCall {
  readonly caller: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly failedAt: number;
  readonly error: string;
}

/** No call takes this long, however busy the machine is: one that does hangs, ms. */
const CALL_DEADLINE_MS = 30_000;

/** A caller that calls again and again, and counts. The next call begins a while after the last ended, however. */
export class SteadyCalls {
  readonly caller: string;
  readonly failed: FailedCall[] = [];
  succeeded = 0;
  readonly #calling: Calling;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(caller: string, calling: Calling, { everyMs }: { readonly everyMs: number }) {
    this.caller = caller;
    this.#calling = calling;
    this.#running = this.#run(everyMs);
  }

  /** Calls until one succeeds, and counts from then on. @throws Error when none does in time */
  static async begin(
    caller: string,
    calling: Calling,
    { everyMs, withinMs = 30_000 }: { readonly everyMs: number; readonly withinMs?: number },
  ): Promise<SteadyCalls> {
    const until = performance.now() + withinMs;
    for (;;) {
      try {
        await calling.call(`${caller} begins`);
        return new SteadyCalls(caller, calling, { everyMs });
      } catch (cause) {
        if (performance.now() > until) throw new Error(`no call of ${caller} succeeded in time`, { cause });
        await delay(everyMs);
      }
    }
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
        await this.#calling.call(`${this.caller} ${call}`);
        this.succeeded += 1;
      } catch (error) {
        this.failed.push({ caller: this.caller, startedAt, failedAt: Date.now(), error: (error as Error).message });
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

/** Who failed how often, for the message of a test that expected none. */
export function describeFailures(callers: readonly SteadyCalls[]): string {
  const failed = callers.flatMap((caller) => caller.failed).toSorted((a, b) => a.failedAt - b.failedAt);
  const first = failed[0]?.failedAt ?? 0;
  const lines = failed.map(
    ({ caller, failedAt, startedAt, error }) =>
      `+${failedAt - first} ms ${caller}, ${failedAt - startedAt} ms: ${error}`,
  );
  const succeeded = callers.reduce((sum, caller) => sum + caller.succeeded, 0);
  return [`${failed.length} calls failed, ${succeeded} succeeded`, ...lines.slice(0, 40)].join('\n');
}
