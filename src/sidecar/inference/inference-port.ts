import { chmod, mkdir, stat } from 'node:fs/promises';
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { beginsTls } from '../../dataplane/first-words.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import { clearStaleSocket } from '../../platform/admin-socket.ts';
import { after } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import { contain } from '../../platform/contain.ts';
import { listen } from '../../platform/listen-address.ts';
import type { Logger } from '../../platform/logger.ts';
import { parseLocalAddress } from '../local-address.ts';
import { CallRefused, errorBody } from './call-refused.ts';
import type { PortRefusals } from './port-refusals.ts';

export interface InferencePortOptions {
  /** `unix:/path` or `host:port` on loopback; port 0 lets the system choose. */
  readonly listen: string;
  /** Mode of a unix socket, for example 0o660. */
  readonly socketMode: number;
  /** For the agent to send a whole request, in ms. */
  readonly requestTimeoutMs: number;
  /** As many connections may be open at the same time. */
  readonly maxConnections: number;
  readonly logger: Logger;
  /** Is told after each change how many are. */
  readonly onConnections: (count: number) => void;
  readonly take: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly refusals: PortRefusals;
}

const MAX_HEADER_BYTES = 16 * 1024;
/** Clients keep connections open; a new one costs little here, but more than none. */
const KEEP_ALIVE_MS = 75_000;
const CHECKING_MS = 500;
/** For the agent to read why, in ms. */
const LAST_WORDS_MS = 1000;
const OTHERS = 0o007;
/** Connections above the limit that are told so at the same time; whoever comes then is not even told. */
const MAX_SURPLUS = 64;

const TLS_ADVICE =
  'Call this port by http://, not https://: the sidecar speaks TLS to the model, nobody does to the sidecar.';

/** Where the agent calls its model: an HTTP server beside it, on a unix socket or on loopback. */
export class InferencePort implements Component {
  readonly name = 'inference port';
  readonly #options: InferencePortOptions;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  /** Above the limit, and why: with the id under which it is on record. */
  readonly #surplus = new WeakMap<Socket, Refused>();
  #address = '';
  #isClosedToOthers = false;

  constructor(options: InferencePortOptions) {
    this.#options = options;
    const { logger, take, requestTimeoutMs, maxConnections } = options;
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      const surplus = this.#surplus.get(request.socket);
      if (surplus !== undefined) {
        const { fields, body } = lastWords(surplus);
        response.writeHead(surplus.refused.status, fields).end(body);
        return;
      }
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
    this.#server.maxConnections = maxConnections + MAX_SURPLUS;
    this.#server.on('connection', (socket) => this.#enter(socket));
    this.#server.on('drop', () => void options.refusals.record(this.#tooMany()));
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

  #enter(socket: Socket): void {
    const { maxConnections, onConnections, refusals } = this.#options;
    if (this.#open.size >= maxConnections) {
      const refused = new CallRefused(this.#tooMany());
      // Told when it asks, because not every client listens before; and what does not ask does not stay.
      this.#surplus.set(socket, { refused, correlationId: refusals.record(refused.rejection) });
      const cancel = after({ delayMs: LAST_WORDS_MS, run: () => socket.destroy(), keepAlive: false });
      socket.once('close', cancel);
      return;
    }
    this.#open.add(socket);
    onConnections(this.#open.size);
    socket.once('close', () => {
      this.#open.delete(socket);
      onConnections(this.#open.size);
    });
  }

  #tooMany(): Rejection {
    return rejection('INFERENCE_TOO_MANY_CONNECTIONS', `${this.#open.size} connections are open`);
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
    socket.end(rawLastWords({ refused, correlationId: this.#options.refusals.record(refused.rejection) }));
    after({ delayMs: LAST_WORDS_MS, run: () => socket.destroy(), keepAlive: false });
  }
}

interface Refused {
  readonly refused: CallRefused;
  readonly correlationId: string;
}

/** An answer after which the connection ends. */
function lastWords({ refused, correlationId }: Refused) {
  const body = JSON.stringify(errorBody(refused, correlationId));
  const fields = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'ait-correlation-id': correlationId,
    connection: 'close',
  };
  return { fields, body };
}

/** The same as text, to what was no request. */
function rawLastWords(told: Refused): string {
  const { status } = told.refused;
  const { fields, body } = lastWords(told);
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}

/** With what could not be read, where it was anything. */
interface UnreadError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer;
}
