import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { clearStaleSocket } from '../platform/admin-socket.ts';
import type { Component } from '../platform/component.ts';
import { contain } from '../platform/contain.ts';
import { listen } from '../platform/listen-address.ts';
import type { Logger } from '../platform/logger.ts';
import { resetSocket } from '../platform/reset-socket.ts';
import { parseLocalAddress } from './local-address.ts';

export interface AgentListenerOptions {
  readonly name: string;
  /** `unix:/path` or `host:port` on loopback; port 0 lets the system choose. */
  readonly listen: string;
  /** Mode of a unix socket, for example 0o660. */
  readonly socketMode: number;
  readonly logger: Logger;
  /** Takes one connection of the agent, of which nothing has been read. */
  readonly carry: (agent: Socket) => Promise<void>;
}

/** Each costs two sockets and what they buffer; beyond that the system keeps callers waiting. */
const MAX_CONNECTIONS = 8192;

/** A plaintext socket beside our agent, at which it calls others. */
export class AgentListener implements Component {
  readonly name: string;
  readonly #options: AgentListenerOptions;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #address = '';

  constructor(options: AgentListenerOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** As bound: `unix:/path` or `host:port`. */
  get address(): string {
    return this.#address;
  }

  async start(): Promise<void> {
    const { socketMode, logger, carry } = this.#options;
    const address = parseLocalAddress(this.#options.listen);
    if ('path' in address) {
      await mkdir(dirname(address.path), { recursive: true });
      await clearStaleSocket(address.path);
    }
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (agent) => {
      this.#sockets.add(agent);
      agent.once('close', () => this.#sockets.delete(agent));
      agent.on('error', () => undefined);
      contain(carry(agent), { logger, what: 'carrying a connection', giveUp: () => agent.destroy() });
    });
    server.maxConnections = MAX_CONNECTIONS;
    this.#server = server;
    const bound = await listen(server, address, this.name);
    this.#address = 'path' in address ? `unix:${bound}` : bound;
    if ('path' in address) await chmod(address.path, socketMode);
  }

  /** Takes no more connections; those that are open go on. */
  refuseNew(): void {
    this.#server?.close();
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of this.#sockets) resetSocket(socket);
    });
  }
}
