import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Server as GrpcServer, ServerCredentials, type ConnectionInjector } from '@grpc/grpc-js';
import { rotateServerContext, serverTlsOptions } from '../crypto/tls-context.ts';
import { after, type Clock } from '../platform/clock.ts';
import type { Component, StopOptions } from '../platform/component.ts';
import type { Logger } from '../platform/logger.ts';
import { CHANNEL_OPTIONS } from '../wire/owned-channel.ts';
import type { AuthorityMetrics } from './authority-metrics.ts';
import type { Callers } from './membership/callers.ts';
import type { CertificateAuthority } from './keys/certificate-authority.ts';
import { ServerIdentity } from './keys/server-identity.ts';
import { listen, type HostPort } from '../platform/listen-address.ts';

/** Largest message taken, in bytes: a report's 256 KiB and what the encoding adds. */
const MAX_MESSAGE_BYTES = 320 * 1024;
const MAX_STREAMS = 32;
const MAX_CONNECTIONS = 10_000;
/** Connections without a good certificate, which may only join: how many at once, and for how long each, in ms. */
const MAX_ANONYMOUS = 256;
const ANONYMOUS_MS = 15_000;
/** Connections that came before serving began and are kept for it. */
const MAX_EARLY = 64;

export interface GrpcListenerOptions {
  readonly address: HostPort;
  readonly authority: CertificateAuthority;
  readonly callers: Callers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  /** Adds the services. */
  readonly register: (server: GrpcServer) => void;
  /** Default 10 000. */
  readonly maxConnections?: number;
  /** How many connections without a good certificate are open at once. Default 256. */
  readonly maxAnonymous?: number;
  /** How long such a connection may stay, in ms. Default 15 000. */
  readonly anonymousMs?: number;
  /** Default 3 000. */
  readonly handshakeTimeoutMs?: number;
}

/**
 * The authority's gRPC port. The TLS server is ours: TLS 1.3 without resumption, ALPN exactly `h2`, and a client
 * certificate is asked for but not demanded, since whoever joins has none; each service says for itself whom it takes.
 * The grpc-js server behind it is never bound to a port.
 */
export class GrpcListener implements Component {
  readonly name = 'grpc listener';
  /** `host:port`, actual; empty before the start. */
  address = '';
  readonly #options: GrpcListenerOptions;
  readonly #grpc: GrpcServer;
  readonly #injector: ConnectionInjector;
  readonly #open = new Set<Socket>();
  #server: Server | undefined;
  #anonymous = 0;
  #early: TLSSocket[] | undefined = [];
  #identity: ServerIdentity | undefined;

  constructor(options: GrpcListenerOptions) {
    this.#options = options;
    this.#grpc = new GrpcServer({
      ...CHANNEL_OPTIONS,
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.max_connection_idle_ms': 300_000,
    });
    options.register(this.#grpc);
    this.#injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure());
  }

  async start(): Promise<void> {
    const { address, handshakeTimeoutMs, maxConnections = MAX_CONNECTIONS } = this.#options;
    const identity = new ServerIdentity({
      ...this.#options,
      onRotated: (context) => {
        if (this.#server !== undefined) rotateServerContext(this.#server, context);
      },
    });
    this.#identity = identity;
    const server = createServer({
      ...serverTlsOptions({
        context: identity.context,
        alpn: ['h2'],
        requestCert: true,
        ...(handshakeTimeoutMs !== undefined && { handshakeTimeoutMs }),
      }),
      // A certificate is judged per call; a connection without one may only join.
      rejectUnauthorized: false,
      SNICallback: (name, done) => done(null, identity.contextFor(name).secureContext),
    });
    this.#server = server;
    server.on('connection', (socket: Socket) => this.#onConnection(socket, maxConnections));
    server.on('secureConnection', (socket) => this.#onSecure(socket));
    server.on('tlsClientError', (error, socket) => {
      this.#options.metrics.connectionsRefused.add({ reason: 'tls' });
      this.#options.logger.info('tls_failed', {
        peer: peerOf(socket),
        reason: socket.authorizationError ?? error.message,
      });
      socket.destroy();
    });
    this.address = await listen(server, address, 'the gRPC port');
  }

  /** From now on calls are answered; connections that are open already, too. */
  serve(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const socket of early) if (!socket.destroyed) this.#inject(socket);
  }

  async stop({ deadlineMs }: StopOptions): Promise<void> {
    this.#identity?.stop();
    const closed = new Promise<void>((resolve) => {
      if (this.#server?.listening === true) this.#server.close(() => resolve());
      else resolve();
    });
    // Watch streams would go on for ever: GOAWAY, a moment for what is unary, then the end.
    this.#injector.drain(Math.min(deadlineMs / 2, 250));
    await new Promise<void>((resolve) => {
      after({ delayMs: this.#open.size === 0 ? 0 : Math.min(deadlineMs / 2, 250), run: resolve });
    });
    this.#injector.destroy();
    this.#grpc.forceShutdown();
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #onConnection(socket: Socket, maxConnections: number): void {
    const { metrics, logger } = this.#options;
    metrics.connectionsOpened.add();
    if (this.#open.size >= maxConnections) {
      metrics.connectionsRefused.add({ reason: 'cap' });
      logger.warn('connection_refused', { peer: peerOf(socket), reason: `more than ${maxConnections} connections` });
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    metrics.connections.set(this.#open.size);
    socket.once('close', () => {
      this.#open.delete(socket);
      metrics.connections.set(this.#open.size);
    });
  }

  #onSecure(socket: TLSSocket): void {
    const { metrics, callers } = this.#options;
    socket.on('error', () => socket.destroy());
    // A client that offers no ALPN at all gets this far.
    if (socket.alpnProtocol !== 'h2' || socket.isSessionReused()) {
      metrics.connectionsRefused.add({ reason: socket.isSessionReused() ? 'resumed' : 'alpn' });
      socket.destroy();
      return;
    }
    if (!callers.register(socket)) return;
    if (!callers.isMember(socket) && !this.#admitAnonymous(socket)) return;
    if (this.#early === undefined) this.#inject(socket);
    else if (this.#early.length < MAX_EARLY) this.#early.push(socket);
    else socket.destroy();
  }

  /** Strangers share few places, so that a flood of them does not keep members out. */
  #admitAnonymous(socket: TLSSocket): boolean {
    if (this.#anonymous >= (this.#options.maxAnonymous ?? MAX_ANONYMOUS)) {
      this.#options.metrics.connectionsRefused.add({ reason: 'cap' });
      socket.destroy();
      return false;
    }
    this.#anonymous += 1;
    const delayMs = this.#options.anonymousMs ?? ANONYMOUS_MS;
    const cancel = after({ delayMs, keepAlive: false, run: () => socket.destroy() });
    socket.once('close', () => {
      this.#anonymous -= 1;
      cancel();
    });
    return true;
  }

  #inject(socket: TLSSocket): void {
    this.#injector.injectConnection(socket);
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}
