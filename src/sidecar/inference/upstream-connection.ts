import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { finished, type Duplex } from 'node:stream';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { CallRefused, endOf } from './call-refused.ts';
import { StallWatch } from './stall-watch.ts';
import type { TakeChunk, UpstreamAnswer, UpstreamRequest } from './upstream.ts';

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
          read: (take) => this.#read(answer, { take, watch, signal, idleMs: timeouts.idleMs }),
        });
      });
      request.end(body);
    });
  }

  /** By events, not by iteration: each promise on its way would make a chunk wait for whatever else there is to do. */
  #read(answer: IncomingMessage, { take, watch, idleMs, signal }: ReadInput): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      let busy: Promise<void> | undefined;
      const over = (): void => {
        isOver = true;
        signal.removeEventListener('abort', onAbort);
      };
      const fail = (error: unknown): void => {
        over();
        answer.destroy();
        reject(error);
      };
      // The request may be over before its answer has been taken: then it alone would not hear of this.
      const onAbort = (): void => fail(endOf(signal));
      const goOn = (): void => {
        busy = undefined;
        if (isOver) return;
        watch.resume(idleMs);
        answer.resume();
      };
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      answer.on('data', (chunk: Buffer) => {
        // What Node has read already it hands out even after the end of the request, or of the connection.
        if (isOver || this.#reason !== undefined) return;
        watch.resume(idleMs);
        try {
          busy = take(chunk);
          if (busy === undefined) return;
          answer.pause();
          // While the agent does not take it, the silence is not the upstream's.
          watch.pause();
          busy.then(goOn, fail);
        } catch (error) {
          fail(error);
        }
      });
      const finish = (error?: unknown): void => {
        over();
        if (this.#reason === undefined && !error) resolve();
        else reject(this.#reasonOf(error));
      };
      // The last chunk may still be on its way to the agent when the end of the answer is here.
      finished(answer, { writable: false }, (error) => {
        if (busy === undefined || error) finish(error);
        else busy.then(() => finish(), fail);
      });
    });
  }

  /** Why a request or its answer broke off. */
  #reasonOf(error: unknown): Error {
    if (this.#reason !== undefined) return this.#reason;
    const detail = error instanceof Error ? error.message : String(error);
    return new CallRefused(rejection('INFERENCE_UNAVAILABLE', `the connection broke: ${detail}`));
  }
}

interface ReadInput {
  readonly take: TakeChunk;
  readonly watch: StallWatch;
  readonly idleMs: number;
  readonly signal: AbortSignal;
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
