import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TunnelEnd } from '../tunnel.ts';
import { ServedConnection } from './served-connection.ts';
import type { Http1Terms } from './terms.ts';

/**
 * Reads requests of HTTP/1 with Node's own parser in its strict form. It listens nowhere: connections that turned out to
 * speak HTTP/1 are handed to it.
 */
export class Http1Server {
  readonly #served = new WeakMap<Duplex, ServedConnection>();
  readonly #servers = new Map<number, Server>();

  /**
   * Serves one connection of a caller, until it is closed.
   *
   * @param end nothing of it has been taken; it must allow half-open connections
   */
  serve(end: TunnelEnd, terms: Http1Terms): ServedConnection {
    const connection = new ServedConnection(end, terms);
    this.#served.set(end.stream, connection);
    this.#serverFor(terms.limits.maxHeaderBytes).emit('connection', end.stream);
    end.stream.resume();
    return connection;
  }

  /** The limit is one of the parser, and so of the server. */
  #serverFor(maxHeaderSize: number): Server {
    const known = this.#servers.get(maxHeaderSize);
    if (known !== undefined) return known;
    const server = createServer({ maxHeaderSize, insecureHTTPParser: false, requireHostHeader: false });
    // Beyond a number of headers the rest would be left out without a word; they are bounded in bytes.
    server.maxHeadersCount = 0;
    // Time is looked after by each connection.
    server.timeout = server.keepAliveTimeout = 0;
    const take = (...[message, response]: Parameters<ServedConnection['take']>) =>
      this.#served.get(message.socket)?.take(message, response);
    server.on('request', take).on('checkContinue', take).on('checkExpectation', take);
    server.on('connect', (_message, socket) => this.#served.get(socket)?.connect());
    server.on('clientError', (error, socket) => this.#served.get(socket)?.failed(error));
    this.#servers.set(maxHeaderSize, server);
    return server;
  }
}
