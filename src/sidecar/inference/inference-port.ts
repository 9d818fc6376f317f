import { chmod, mkdir, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { beginsTls } from '../../dataplane/first-words.ts';
import { rejection } from '../../domain/rejection.ts';
import { clearStaleSocket } from '../../platform/admin-socket.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import { contain } from '../../platform/contain.ts';
import { listen } from '../../platform/listen-address.ts';
import type { Logger } from '../../platform/logger.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import { parseLocalAddress } from '../local-address.ts';
import { CallRefused, errorBody } from './call-refused.ts';

export interface InferencePortOptions {
  /** `unix:/path` or `host:port` on loopback; port 0 lets the system choose. */
  readonly listen: string;
  /** Mode of a unix socket, for example 0o660. */
  readonly socketMode: number;
  /** For the agent to send a whole request, in ms. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly take: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly newCorrelationId: () => string;
}

const MAX_HEADER_BYTES = 16 * 1024;
/** Clients keep connections open; a new one costs little here, but more than none. */
const KEEP_ALIVE_MS = 75_000;
const CHECKING_MS = 500;
/** For the agent to read why, in ms. */
const LAST_WORDS_MS = 1000;
const OTHERS = 0o007;
/** Whoever can open the port can send what is no request as often as they like: it must not fill the disk. */
const REFUSED_LINES = { burst: 100, perSecond: 2 } as const;

const TLS_ADVICE =
  'Call this port by http://, not https://: the sidecar speaks TLS to the model, nobody does to the sidecar.';

/** Where the agent calls its model: an HTTP server beside it, on a unix socket or on loopback. */
export class InferencePort implements Component {
  readonly name = 'inference port';
  readonly #options: InferencePortOptions;
  readonly #server: Server;
  readonly #refusedLines: RateLimit;
  #address = '';
  #isClosedToOthers = false;

  constructor(options: InferencePortOptions) {
    this.#options = options;
    const { logger, take, requestTimeoutMs, clock } = options;
    this.#refusedLines = new RateLimit({ ...REFUSED_LINES, clock });
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      const giveUp = () => response.destroy();
      contain(take(request, response), { logger, what: 'carrying a call to the model', giveUp });
    };
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: requestTimeoutMs,
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECKING_MS,
        noDelay: true,
      },
      handle,
    );
    // The head alone may be reason enough to refuse, before the body has been sent.
    this.#server.on('checkContinue', handle);
    this.#server.on('clientError', (error: UnreadError, socket) => this.#refuse(error, socket));
  }

  /** As bound: `unix:/path` or `host:port`. */
  get address(): string {
    return this.#address;
  }

  /** Whether it is a unix socket that only the sidecar's user and group can open. */
  get closedToOthers(): boolean {
    return this.#isClosedToOthers;
  }

  async start(): Promise<void> {
    const address = parseLocalAddress(this.#options.listen);
    const isSocket = 'path' in address;
    if (isSocket) {
      await mkdir(dirname(address.path), { recursive: true });
      await clearStaleSocket(address.path);
    }
    const bound = await listen(this.#server, address, this.name);
    this.#address = isSocket ? `unix:${bound}` : bound;
    if (!isSocket) return;
    await chmod(address.path, this.#options.socketMode);
    const { mode } = await stat(address.path);
    this.#isClosedToOthers = (mode & OTHERS) === 0;
  }

  /** Takes no more connections; those that are open go on. */
  refuseNew(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  /** A request that never became one. */
  #refuse({ code = '', rawPacket }: UnreadError, socket: Duplex): void {
    if (code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const isSlow = code === 'ERR_HTTP_REQUEST_TIMEOUT';
    const limit = this.#options.requestTimeoutMs;
    const isTls = rawPacket !== undefined && beginsTls(rawPacket);
    const refused = isSlow
      ? new CallRefused(rejection('INFERENCE_REQUEST_SLOW', `no whole request within ${limit} ms`))
      : isTls
        ? new CallRefused(rejection('TLS_FROM_AGENT', 'the agent began a TLS handshake'), { message: TLS_ADVICE })
        : new CallRefused(rejection('INFERENCE_REQUEST_INVALID', `not an HTTP request that this port reads: ${code}`));
    const { status } = refused;
    if (this.#refusedLines.take()) {
      this.#options.logger.info('model_request_refused', { code: refused.rejection.code, detail: refused.message });
    }
    const body = JSON.stringify(errorBody(refused, this.#options.newCorrelationId()));
    const head = `HTTP/1.1 ${status} ${isSlow ? 'Request Timeout' : 'Bad Request'}\r\ncontent-type: application/json\r\n`;
    socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
    after({ delayMs: LAST_WORDS_MS, run: () => socket.destroy(), keepAlive: false });
  }
}

/** With what could not be read, where it was anything. */
interface UnreadError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer;
}
