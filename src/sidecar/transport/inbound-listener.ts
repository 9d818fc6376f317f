import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { rotateServerContext, serverTlsOptions, type TlsContext } from '../../crypto/tls-context.ts';
import type { VouchedIdentity } from '../../crypto/chain.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import { listen } from '../../platform/listen-address.ts';
import type { DecisionLog } from '../decision-log.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import {
  CONTROL_ALPN,
  DATA_ALPN,
  inspectPeer,
  isInspected,
  type TrustedRoots,
} from '../../membership/peer-inspection.ts';
import { describe, splitAddress } from '../../membership/secure-outbound.ts';

/** A connection whose certificate was checked; whether the peer may have a session is still open. */
export interface InboundPeer {
  readonly socket: TLSSocket;
  /** The TCP socket under it: the only one that can be reset. */
  readonly raw: Socket;
  readonly identity: VouchedIdentity;
  /** `x5t#S256` of the certificate that we showed on it; a rotation may have come since. */
  readonly shown: string;
  /** `host:port`, unique among the open connections. */
  readonly remoteAddress: string;
  /** Our monotonic clock when it came, before the handshake. */
  readonly connectedAt: number;
  /** Takes the connection off the count of those that have not proven anything yet. */
  authenticated(): void;
  /** Who ends the connection when it has not proven itself in time. Default: it is refused without a word. */
  whenOverdue(end: (cause: Rejection) => void): void;
}

export interface InboundLimits {
  /** Connections that have not finished an exchange or named a session: in all, per address, per SVID. */
  readonly unauthenticated: number;
  readonly unauthenticatedPerAddress: number;
  readonly unauthenticatedPerSvid: number;
  readonly handshakeTimeoutMs: number;
  /** From the end of the handshake until the connection must have proven itself. */
  readonly proveWithinMs: number;
}

export interface InboundListenerOptions {
  /** `host:port`; port 0 lets the system choose. */
  readonly listen: string;
  readonly limits: InboundLimits;
  readonly clock: Clock;
  readonly metrics: SidecarMetrics;
  readonly decisions: DecisionLog;
  readonly context: () => TlsContext;
  /** `x5t#S256` of the certificate in that context. */
  readonly thumbprint: () => string;
  readonly roots: () => TrustedRoots;
  /** Whether a live session shows this certificate. */
  readonly hasSession: (thumbprint: string) => boolean;
  /** Takes a socket of ALPN `h2`. */
  readonly onControl: (peer: InboundPeer) => void;
  /** Takes a socket of ALPN `ait-data/1`. */
  readonly onData: (peer: InboundPeer) => void;
}

/** What is known of a connection that has not proven itself. */
interface Unproven {
  readonly address: string;
  readonly svid: string | undefined;
  readonly shown: string;
  readonly connectedAt: number;
}

/** Of all kinds, proven or not. */
const MAX_CONNECTIONS = 16_384;

/** Where other sidecars come in: our own TLS server, which decides by ALPN what a socket is and destroys the rest. */
export class InboundListener implements Component {
  readonly name = 'inbound';
  readonly #options: InboundListenerOptions;
  readonly #unproven = new Map<Socket, Unproven>();
  readonly #raw = new Map<string, Socket>();
  #tcp: TcpServer | undefined;
  #tls: TlsServer | undefined;
  #address = '';

  constructor(options: InboundListenerOptions) {
    this.#options = options;
  }

  /** `host:port` as bound. */
  get address(): string {
    return this.#address;
  }

  async start(): Promise<void> {
    const { limits, context } = this.#options;
    const tls = createTlsServer(
      serverTlsOptions({
        context: context(),
        alpn: [CONTROL_ALPN, DATA_ALPN],
        requestCert: true,
        handshakeTimeoutMs: limits.handshakeTimeoutMs,
      }),
    );
    tls.on('secureConnection', (socket) => this.#secured(socket));
    tls.on('tlsClientError', (error, socket) => this.#handshakeFailed(error, socket));
    // A server of its own: what is refused here never gets as far as TLS.
    const tcp = createTcpServer({ noDelay: true }, (raw) => {
      if (this.#connected(raw)) tls.emit('connection', raw);
    });
    tcp.maxConnections = MAX_CONNECTIONS;
    this.#tls = tls;
    this.#tcp = tcp;
    this.#address = await listen(tcp, splitAddress(this.#options.listen), 'inbound');
  }

  /** New connections are answered with new material; open ones keep theirs. */
  rotate(): void {
    if (this.#tls !== undefined) rotateServerContext(this.#tls, this.#options.context());
  }

  /** Takes no more connections; those that are open go on. */
  refuseNew(): void {
    this.#tcp?.close();
  }

  async stop(): Promise<void> {
    const server = this.#tcp;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const raw of this.#raw.values()) raw.destroy();
    });
  }

  /** Before TLS: only counting, so that a flood costs us a socket each and nothing more. @returns whether it may go on */
  #connected(raw: Socket): boolean {
    const address = raw.remoteAddress ?? '';
    const key = `${address}:${raw.remotePort}`;
    const { unauthenticated, unauthenticatedPerAddress } = this.#options.limits;
    const sameAddress = [...this.#unproven.values()].filter((entry) => entry.address === address).length;
    if (this.#unproven.size >= unauthenticated || sameAddress >= unauthenticatedPerAddress) {
      const cause = rejection(
        'TOO_MANY_UNAUTHENTICATED',
        `${this.#unproven.size} in all, ${sameAddress} from this address`,
      );
      this.#refuse(raw, key, '', cause);
      return false;
    }
    // A call of grpc-js tells its remote address only. On two addresses of ours one remote port can be open twice; the
    // sockets under the second connection could not be told from those under the first.
    if (this.#raw.has(key)) {
      this.#refuse(raw, key, '', rejection('TOO_MANY_UNAUTHENTICATED', 'the same remote port is open already'));
      return false;
    }
    this.#raw.set(key, raw);
    const { thumbprint, clock } = this.#options;
    this.#unproven.set(raw, { address, svid: undefined, shown: thumbprint(), connectedAt: clock.monotonic() });
    this.#count();
    raw.once('close', () => {
      this.#proven(raw);
      // Not in this turn: what TLS has to say of a connection that closed comes next, and wants to know whose it was.
      setImmediate(() => this.#raw.delete(key));
    });
    return true;
  }

  #secured(socket: TLSSocket): void {
    const { clock, roots, limits } = this.#options;
    // From here on an error is followed by 'close', which is what users of the socket act on.
    socket.on('error', () => undefined);
    // An agent may close its sending side and still wait for the answer. Not sooner: who hangs up during the handshake has
    // hung up, and would otherwise be held until its time is over.
    socket.allowHalfOpen = true;
    const remoteAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    const raw = this.#raw.get(remoteAddress);
    if (raw === undefined) {
      socket.destroy();
      return;
    }
    const peer = inspectPeer(socket, { roots: roots(), now: clock.now() });
    if (!isInspected(peer)) {
      this.#refuse(raw, remoteAddress, '', peer);
      return;
    }
    const { identity, alpn } = peer;
    const sameSvid = [...this.#unproven.values()].filter((entry) => entry.svid === identity.thumbprint).length;
    // A certificate with a live session has proven itself: its data connections may come as fast as its agent calls.
    if (sameSvid >= limits.unauthenticatedPerSvid && !this.#options.hasSession(identity.thumbprint)) {
      this.#refuse(
        raw,
        remoteAddress,
        identity.spiffeId,
        rejection('TOO_MANY_UNAUTHENTICATED', `${sameSvid} under this SVID`),
      );
      return;
    }
    const { shown = '', connectedAt = clock.monotonic() } = this.#unproven.get(raw) ?? {};
    this.#unproven.set(raw, { address: socket.remoteAddress ?? '', svid: identity.thumbprint, shown, connectedAt });
    let endOverdue = (cause: Rejection) => this.#refuse(raw, remoteAddress, identity.spiffeId, cause);
    const timer = setTimeout(() => {
      endOverdue(rejection('EXCHANGE_TIMEOUT', `nothing proven within ${limits.proveWithinMs} ms of the handshake`));
    }, limits.proveWithinMs);
    socket.once('close', () => clearTimeout(timer));
    const authenticated = () => {
      clearTimeout(timer);
      this.#proven(raw);
    };
    const whenOverdue = (end: (cause: Rejection) => void) => {
      endOverdue = end;
    };
    const inbound: InboundPeer = {
      socket,
      raw,
      identity,
      shown,
      remoteAddress,
      connectedAt,
      authenticated,
      whenOverdue,
    };
    if (alpn === CONTROL_ALPN) this.#options.onControl(inbound);
    else this.#options.onData(inbound);
  }

  #handshakeFailed(error: Error, socket: TLSSocket): void {
    const { limits } = this.#options;
    const remoteAddress = this.#addressOf(socket);
    const timedOut = (error as { code?: string }).code === 'ERR_TLS_HANDSHAKE_TIMEOUT';
    // Without this, an untrusted CA looks like any connection that was reset.
    const reason = String(socket.authorizationError ?? describe(error));
    const cause = timedOut
      ? rejection('TLS_HANDSHAKE_TIMEOUT', `no TLS handshake within ${limits.handshakeTimeoutMs} ms`)
      : rejection('TLS_HANDSHAKE_FAILED', reason);
    this.#options.decisions.refused({ correlationId: '', subject: '', direction: 'inbound', remoteAddress, cause });
    socket.destroy();
  }

  /** A socket that TLS has closed no longer knows its peer; it may be the one that is closed and not yet gone. */
  #addressOf({ remoteAddress, remotePort }: TLSSocket): string {
    if (remoteAddress !== undefined) return `${remoteAddress}:${remotePort}`;
    return [...this.#raw].find(([, raw]) => raw.destroyed)?.[0] ?? '';
  }

  #refuse(raw: Socket, remoteAddress: string, subject: string, cause: Rejection): void {
    this.#options.decisions.refused({ correlationId: '', subject, direction: 'inbound', remoteAddress, cause });
    raw.on('error', () => undefined);
    raw.resetAndDestroy();
  }

  #proven(raw: Socket): void {
    if (this.#unproven.delete(raw)) this.#count();
  }

  #count(): void {
    this.#options.metrics.unauthenticated.set(this.#unproven.size);
  }
}
