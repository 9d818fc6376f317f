import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { connect as tcpConnect, type Socket } from 'node:net';
import { clientTlsOptions, type TlsContext } from '../crypto/tls-context.ts';
import { isHostPort } from '../domain/host-port.ts';
import { rejection, type Rejection } from '../domain/rejection.ts';
import {
  derOf,
  explainDates,
  inspectPeer,
  isInspected,
  type InspectedPeer,
  type MeshAlpn,
  type TrustedRoots,
} from './peer-inspection.ts';

/** A TLS connection that we opened, with what it showed. */
export interface SecuredConnection {
  readonly socket: TLSSocket;
  /** The TCP socket under it: the only one that can be reset. */
  readonly raw: Socket;
  readonly peer: InspectedPeer;
}

/** The reason why a connection could not be secured, in a form that a promise can reject with. */
export class ConnectionRefused extends Error {
  readonly rejection: Rejection;

  constructor(cause: Rejection) {
    super(cause.detail);
    this.rejection = cause;
  }
}

export interface SecureOutboundOptions {
  readonly raw: Socket;
  readonly context: TlsContext;
  readonly roots: TrustedRoots;
  readonly alpn: MeshAlpn;
  readonly timeoutMs: number;
  /** What the server is asked for (SNI); nothing is judged by it. Default: nothing. */
  readonly serverName?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Gives the handshake up when it aborts. */
  readonly signal?: AbortSignal;
}

/** OpenSSL's codes for a certificate that is out of its time. */
const DATES: ReadonlySet<string> = new Set(['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']);

/**
 * Puts TLS on an open TCP connection and inspects who answers. Node gives a client no handshake timeout, so this has
 * its own.
 *
 * @throws ConnectionRefused; the socket is then destroyed
 */
export function secureOutbound(options: SecureOutboundOptions): Promise<SecuredConnection> {
  const { raw, context, roots, alpn, timeoutMs, serverName, now, signal } = options;
  return new Promise((resolve, reject) => {
    let shown: Uint8Array | undefined;
    const checkPeer = (der: Uint8Array): undefined => {
      shown = der;
    };
    const socket = tlsConnect({
      ...clientTlsOptions({ context, alpn: [alpn], checkPeer }),
      socket: raw,
      ...(serverName !== undefined && { servername: serverName }),
    });
    const timer = setTimeout(
      () => fail(rejection('TLS_HANDSHAKE_TIMEOUT', `no TLS handshake within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const giveUp = () => fail(rejection('PEER_DRAINING', 'this sidecar is shutting down'));
    signal?.addEventListener('abort', giveUp, { once: true });
    const fail = (cause: Rejection) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      socket.destroy();
      reject(new ConnectionRefused(cause));
    };
    const onError = (error: Error & { code?: string }) => {
      const untimely = DATES.has(error.code ?? '') && shown !== undefined ? explainDates(shown, now()) : undefined;
      fail(untimely ?? rejection('TLS_HANDSHAKE_FAILED', describe(error)));
    };
    // Before Node looks at the result of the verification and, where it is bad, forgets the certificate.
    socket.prependOnceListener('secure', () => {
      shown = derOf(socket);
    });
    const onClose = () =>
      fail(rejection('TLS_HANDSHAKE_FAILED', 'the peer closed the connection during the handshake'));
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      socket.off('error', onError);
      socket.off('close', onClose);
      // From here on an error is followed by 'close', which is what users of the socket act on.
      socket.on('error', () => undefined);
      const peer = inspectPeer(socket, { roots, now: now(), shown, alpns: [alpn] });
      if (!isInspected(peer)) fail(peer);
      else resolve({ socket, raw, peer });
    });
  });
}

/**
 * Opens a TCP connection.
 *
 * @param address `host:port`, IPv6 in brackets
 * @throws ConnectionRefused
 */
export function openTcp(address: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = splitAddress(address);
    if (!isHostPort(address)) {
      reject(new ConnectionRefused(rejection('PEER_UNREACHABLE', 'the address is not host:port')));
      return;
    }
    const socket = tcpConnect({ host, port, noDelay: true, allowHalfOpen: true });
    const fail = (detail: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new ConnectionRefused(rejection('PEER_UNREACHABLE', `${address}: ${detail}`)));
    };
    const timer = setTimeout(() => fail(`no connection within ${timeoutMs} ms`), timeoutMs);
    const onError = (error: Error) => fail(error.message);
    socket.once('error', onError);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) };
}

/** OpenSSL's own word for it (`CERT_HAS_EXPIRED`, …), which otherwise looks like any broken connection. */
export function describe(error: Error & { code?: string; reason?: string }): string {
  return [error.code, error.reason ?? error.message].filter((part) => part !== undefined).join(': ');
}
