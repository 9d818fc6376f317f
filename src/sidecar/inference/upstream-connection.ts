import { Agent, request as httpRequest, type ClientRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { AnswerReading } from './answer-reading.ts';
import { CallRefused, endOf } from './call-refused.ts';
import { StallWatch } from './stall-watch.ts';
import type { UpstreamAnswer, UpstreamRequest } from './upstream.ts';

export interface UpstreamTimeouts {
  readonly firstByteMs: number;
  readonly idleMs: number;
}

export interface UpstreamConnectionOptions {
  /** Open, secured, and of nobody else. */
  readonly socket: Duplex;
  /** For the header `host`. */
  readonly authority: string;
  readonly clock: Clock;
  readonly timeouts: UpstreamTimeouts;
  /** It is closed, by whomever. */
  readonly onGone: (connection: UpstreamConnection) => void;
}

/** What an answer's head may take, in bytes. */
const MAX_HEADER_BYTES = 16 * 1024;

/** One connection to where answers come from, that carries one request after the other (HTTP/1.1, RFC 9112). */
export class UpstreamConnection {
  readonly #options: UpstreamConnectionOptions;
  readonly #agent: Agent;
  /** Monotonic ms. */
  #freeSince: number;
  #request: ClientRequest | undefined;
  /** Why we ended it; then nothing is sent over it any more. */
  #reason: Error | undefined;

  constructor(options: UpstreamConnectionOptions) {
    this.#options = options;
    this.#agent = new OneSocketAgent(options.socket);
    this.#freeSince = options.clock.monotonic();
    options.socket.once('close', () => options.onGone(this));
  }

  get open(): boolean {
    const { socket } = this.#options;
    return !socket.destroyed && socket.readable && socket.writable;
  }

  /** How long ago the last request ended, in ms. */
  get idleMs(): number {
    return this.#options.clock.monotonic() - this.#freeSince;
  }

  /** For one that carries nothing. */
  close(): void {
    this.#options.socket.destroy();
  }

  /** Ends it, with whatever it carries, now. */
  end(cause: Rejection): void {
    this.#reason ??= new CallRefused(cause);
    this.#request?.destroy(this.#reason);
    this.#options.socket.destroy();
  }

  /**
   * One request at a time: the next may follow once this one is over.
   *
   * @param whenOver the answer has been taken, and the connection can take another request if it is still open.
   * @throws CallRefused, AgentHungUp; `whenOver` is then called, too
   */
  send(
    { method, path, headers, body, signal, beforeWrite }: UpstreamRequest,
    whenOver: () => void,
  ): Promise<UpstreamAnswer> {
    const { authority, clock, timeouts } = this.#options;
    return new Promise((resolve, reject) => {
      const changed = signal.aborted ? endOf(signal) : refusalOf(beforeWrite());
      if (changed !== undefined) {
        reject(changed);
        whenOver();
        return;
      }
      const request = httpRequest({
        agent: this.#agent,
        method,
        path,
        headers: {
          host: authority,
          'accept-encoding': 'identity',
          ...headers,
          ...(body !== undefined && { 'content-length': body.length }),
        },
        maxHeaderSize: MAX_HEADER_BYTES,
      });
      this.#request = request;
      const stop = (reason: Error): void => {
        this.#reason ??= reason;
        request.destroy(reason);
      };
      const onAbort = (): void => stop(endOf(signal));
      const onStall = (limitMs: number): void =>
        stop(new CallRefused(rejection('INFERENCE_TIMEOUT', `nothing came for ${limitMs} ms`)));
      const watch = new StallWatch({ clock, limitMs: timeouts.firstByteMs, onStall });
      signal.addEventListener('abort', onAbort, { once: true });
      request.on('error', (error) => reject(this.#reasonOf(error)));
      request.once('close', () => {
        watch.stop();
        signal.removeEventListener('abort', onAbort);
        this.#request = undefined;
        this.#freeSince = clock.monotonic();
        // Node gives the socket back to its agent right after this event.
        setImmediate(whenOver);
      });
      request.once('response', (answer) => {
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          read: (take) => {
            const { idleMs } = timeouts;
            const reason = () => this.#reason;
            const broken = (error: unknown) => this.#reasonOf(error);
            return new AnswerReading({ answer, take, watch, idleMs, signal, reason, broken }).whole();
          },
        });
      });
      request.end(body);
    });
  }

  /** Why a request or its answer broke off. */
  #reasonOf(error: unknown): Error {
    if (this.#reason !== undefined) return this.#reason;
    const detail = error instanceof Error ? error.message : String(error);
    return new CallRefused(rejection('INFERENCE_UNAVAILABLE', `the connection broke: ${detail}`));
  }
}

/** Keeps the one socket between requests as Node's agents do, the server's `keep-alive` header included. */
class OneSocketAgent extends Agent {
  readonly #socket: Duplex;

  constructor(socket: Duplex) {
    super({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    this.#socket = socket;
  }

  override createConnection(): Duplex {
    return this.#socket;
  }
}

function refusalOf(cause: Rejection | undefined): CallRefused | undefined {
  return cause === undefined ? undefined : new CallRefused(cause);
}
