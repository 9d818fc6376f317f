import type { Socket } from 'node:net';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { rotateServerContext, serverTlsOptions } from '../../crypto/tls-context.ts';
import { sha256Base64Url } from '../../crypto/keys.ts';
import { ADMIN_LIMITS, adminHandler, type AdminRoutes, type ServedRequest } from '../../platform/admin-http.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import { listen, type HostPort } from '../../platform/listen-address.ts';
import type { Logger } from '../../platform/logger.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import { ServerIdentity } from '../keys/server-identity.ts';
import type { Operators } from './operators.ts';

const ALPN = 'http/1.1';
const MAX_CONNECTIONS = 256;
/** Strangers can come back as often as they like: they must not fill the disk. */
const REFUSED_LINES = { burst: 100, perSecond: 2 } as const;
/** A connection that lingers between two requests holds one of few places. */
const KEEP_ALIVE_MS = 5_000;

export interface OperatorListenerOptions {
  readonly address: HostPort;
  readonly routes: AdminRoutes;
  /** See {@link AdminHandlerOptions.largeBodies}. */
  readonly largeBodies: readonly string[];
  readonly operators: Operators;
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  /** A name by which operators call us, besides `localhost` and addresses. */
  readonly hostName: () => string | undefined;
}

/**
 * The operators' way in over the network: HTTPS with the routes of the admin socket. TLS 1.3 without resumption, and a
 * client certificate of our own root before a byte of HTTP is read; whose it is and what it may is judged for every
 * request. A revocation also ends the connections that are open.
 */
export class OperatorListener implements Component {
  readonly name = 'operators';
  /** `host:port`, actual; empty before the start. */
  address = '';
  readonly #options: OperatorListenerOptions;
  readonly #open = new Map<TLSSocket, string>();
  readonly #refusedLines: RateLimit;
  #server: Server | undefined;
  #identity: ServerIdentity | undefined;

  constructor(options: OperatorListenerOptions) {
    this.#options = options;
    this.#refusedLines = new RateLimit({ ...REFUSED_LINES, clock: options.clock });
    options.operators.onRevoked(({ thumbprint }) => {
      for (const [socket, shown] of this.#open) if (shown === thumbprint) socket.destroy();
    });
  }

  async start(): Promise<void> {
    const { address, routes, largeBodies, operators, clock, logger, hostName } = this.#options;
    const identity = new ServerIdentity({
      ...this.#options,
      onRotated: (context) => {
        if (this.#server !== undefined) rotateServerContext(this.#server, context);
      },
    });
    this.#identity = identity;
    const server = createServer(
      {
        ...serverTlsOptions({ context: identity.context, alpn: [ALPN], requestCert: true }),
        // Judged below: an operator whose certificate has expired is told so instead of being hung up on.
        rejectUnauthorized: false,
        SNICallback: (name, done) => done(null, identity.contextFor(name).secureContext),
        ...ADMIN_LIMITS,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      adminHandler({
        routes,
        largeBodies,
        logger,
        clock,
        hostName,
        operatorOf: ({ socket }) => operators.judge(derOf(socket as TLSSocket)),
        onServed: (served) => this.#count(served),
      }),
    );
    this.#server = server;
    server.maxConnections = MAX_CONNECTIONS;
    server.prependListener('secureConnection', (socket: TLSSocket) => this.#onSecure(socket));
    server.on('tlsClientError', (error, socket) => this.#refuse(socket, String(socket.authorizationError ?? error)));
    this.address = await listen(server, address, "the operators' port");
  }

  stop(): Promise<void> {
    this.#identity?.stop();
    return new Promise((resolve) => {
      if (this.#server?.listening !== true) return resolve();
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
      for (const socket of this.#open.keys()) socket.destroy();
    });
  }

  #onSecure(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    const der = derOf(socket);
    // Its code, whatever the type says.
    const problem = String(socket.authorizationError);
    if (socket.isSessionReused()) this.#refuse(socket, 'the TLS session was resumed');
    else if (socket.alpnProtocol !== ALPN) this.#refuse(socket, 'no http/1.1');
    else if (der === undefined) this.#refuse(socket, 'no certificate');
    else if (!socket.authorized && problem !== 'CERT_HAS_EXPIRED') this.#refuse(socket, problem);
    else {
      this.#open.set(socket, sha256Base64Url(der));
      socket.once('close', () => this.#open.delete(socket));
    }
  }

  #refuse(socket: Socket, reason: string): void {
    const { logger, metrics } = this.#options;
    metrics.operatorRequests.add({ method: 'none', result: 'tls' });
    if (this.#refusedLines.take()) {
      logger.info('operator_tls_failed', { peer: `${socket.remoteAddress}:${socket.remotePort}`, reason });
    }
    socket.destroy();
  }

  #count({ operator, method, status }: ServedRequest): void {
    const known = method === 'GET' || method === 'POST' ? method : 'other';
    const refused = operator === undefined || status === 403 || status === 421;
    const result = refused ? 'refused' : status < 400 ? 'ok' : status < 500 ? 'invalid' : 'failed';
    this.#options.metrics.operatorRequests.add({ method: known, result });
  }
}

/** Not getPeerX509Certificate: on the server's side it loses memory with each call (Node 20.20). */
function derOf(socket: TLSSocket): Uint8Array | undefined {
  return (socket.getPeerCertificate(false) as { readonly raw?: Uint8Array } | null)?.raw;
}
