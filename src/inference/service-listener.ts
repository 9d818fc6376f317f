import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { rotateServerContext, serverTlsOptions, type TlsContext } from '../crypto/tls-context.ts';
import { after, type Clock } from '../platform/clock.ts';
import type { Component, StopOptions } from '../platform/component.ts';
import { listen, readListenAddress } from '../platform/listen-address.ts';
import type { Logger } from '../platform/logger.ts';
import { RateLimit } from '../platform/rate-limit.ts';
import type { InferenceConfig } from './config.ts';
import type { CONNECTION_REFUSALS, InferenceMetrics } from './inference-metrics.ts';

/** Sidecars speak this to the service; a client that offers nothing else gets no connection. */
const ALPN = 'http/1.1';
const HEADERS_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** Sidecars keep connections for the next call. */
const KEEP_ALIVE_MS = 120_000;
/** How long the last bytes of an answer, and the other side's goodbye, may take at the end. */
const HANG_UP_MS = 1_000;
/** Strangers can come back as often as they like: they must not fill the disk. */
const REFUSED_LINES = { burst: 100, perSecond: 2 } as const;

export interface ServiceListenerOptions {
  readonly config: Pick<InferenceConfig, 'listen' | 'limits' | 'timing'>;
  readonly context: () => TlsContext;
  /** What is against the other end of a new connection; `undefined`: nothing. */
  readonly callerProblem: (socket: TLSSocket) => string | undefined;
  readonly serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: InferenceMetrics;
}

/** Where sidecars come in: HTTPS with client certificates, TLS 1.3 without resumption. */
export class ServiceListener implements Component {
  readonly name = 'listener';
  /** `host:port`, actual; empty before the start. */
  address = '';
  readonly #options: ServiceListenerOptions;
  readonly #open = new Set<Socket>();
  readonly #secure = new Set<TLSSocket>();
  readonly #refusedLines: RateLimit;
  #server: Server | undefined;
  #answering = 0;
  #idle: (() => void) | undefined;
  #revoked = false;

  constructor(options: ServiceListenerOptions) {
    this.#options = options;
    this.#refusedLines = new RateLimit({ ...REFUSED_LINES, clock: options.clock });
  }

  async start(): Promise<void> {
    const { config, context } = this.#options;
    const { timing, limits } = config;
    const server = createServer(
      {
        ...serverTlsOptions({
          context: context(),
          alpn: [ALPN],
          requestCert: true,
          handshakeTimeoutMs: timing.handshake_timeout,
        }),
        noDelay: true,
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: Math.min(HEADERS_TIMEOUT_MS, timing.body_timeout),
        requestTimeout: timing.body_timeout,
        connectionsCheckingInterval: 1000,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      (request, response) => this.#serve(request, response),
    );
    server.maxConnections = limits.connections;
    server.on('connection', (raw: Socket) => this.#connected(raw));
    server.prependListener('secureConnection', (socket: TLSSocket) => this.#secured(socket));
    server.on('tlsClientError', (error, socket) =>
      this.#refuse(socket, 'tls', String(socket.authorizationError ?? error)),
    );
    this.#server = server;
    const address = readListenAddress(config.listen);
    if (address === undefined) throw new TypeError('the configuration was not validated');
    this.address = await listen(server, address, 'inference service');
  }

  /** New connections are answered with new material; open ones keep theirs. */
  rotate(): void {
    if (this.#server !== undefined) rotateServerContext(this.#server, this.#options.context());
  }

  /** Ends all connections at once, and takes no more. */
  cut(): void {
    this.#revoked = true;
    this.#destroyAll();
  }

  /** Takes no more connections, lets what is being answered finish, then ends what is left. */
  async stop({ deadlineMs }: StopOptions): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => {
      if (server.listening) server.close(() => resolve());
      else resolve();
    });
    await this.#whenIdle(Math.min(this.#options.config.timing.drain, deadlineMs * 0.9));
    // An answer that has ended may still be on its way through TLS: destroying the socket would cut it off.
    for (const socket of this.#secure) socket.end();
    const cancel = after({ delayMs: HANG_UP_MS, run: () => this.#destroyAll() });
    await closed;
    cancel();
  }

  #destroyAll(): void {
    for (const raw of this.#open) raw.destroy();
  }

  #whenIdle(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#answering === 0) {
        resolve();
        return;
      }
      const cancel = after({ delayMs: withinMs, run: resolve });
      this.#idle = () => {
        cancel();
        resolve();
      };
    });
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.#answering += 1;
    if (this.#server?.listening !== true) response.setHeader('connection', 'close');
    response.once('close', () => {
      this.#answering -= 1;
      if (this.#answering === 0) this.#idle?.();
    });
    void this.#options.serve(request, response);
  }

  #connected(raw: Socket): void {
    if (this.#revoked) {
      this.#options.metrics.connectionsRefused.add({ reason: 'revoked' });
      raw.destroy();
      return;
    }
    this.#open.add(raw);
    this.#options.metrics.connections.set(this.#open.size);
    raw.once('close', () => {
      this.#open.delete(raw);
      this.#options.metrics.connections.set(this.#open.size);
    });
  }

  #secured(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    if (socket.isSessionReused()) this.#refuse(socket, 'resumed', 'the TLS session was resumed');
    else if (socket.alpnProtocol !== ALPN) this.#refuse(socket, 'alpn', `no ${ALPN}`);
    else {
      const problem = this.#options.callerProblem(socket);
      if (problem !== undefined) this.#refuse(socket, 'certificate', problem);
      else {
        this.#secure.add(socket);
        socket.once('close', () => this.#secure.delete(socket));
      }
    }
  }

  #refuse(socket: Socket, reason: (typeof CONNECTION_REFUSALS)[number], detail: string): void {
    const { logger, metrics } = this.#options;
    metrics.connectionsRefused.add({ reason });
    if (this.#refusedLines.take()) {
      logger.warn('connection_refused', { peer: `${socket.remoteAddress}:${socket.remotePort}`, reason, detail });
    }
    socket.destroy();
  }
}
