import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { MeshError } from '../domain/mesh-error.ts';
import { ADMIN_LIMITS, adminHandler, type AdminRoutes, type Operator } from './admin-http.ts';
import { systemClock, type Clock } from './clock.ts';
import type { Component } from './component.ts';
import { listen } from './listen-address.ts';
import type { Logger } from './logger.ts';

export type { AdminAnswer, AdminBody, AdminRequest, AdminRoutes, Operator } from './admin-http.ts';

/** Whoever can open the socket is the process's own user, and may do what it may. */
const LOCAL_OPERATOR: Operator = { name: 'local', role: 'admin' };

export interface AdminSocketOptions {
  readonly path: string;
  readonly routes: AdminRoutes;
  readonly logger: Logger;
  /** See {@link AdminHandlerOptions.largeBodies}. */
  readonly largeBodies?: readonly string[];
  /** Default: the machine's. */
  readonly clock?: Clock;
}

/** Where the system cuts off the path of a unix socket. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * An operator's way into a process: HTTP over a unix socket that only the process's own user can open (0600). A browser
 * cannot reach it, and a request that a browser could have made (with an `Origin`) is refused all the same. Errors are
 * RFC 9457 problems.
 */
export class AdminSocket implements Component {
  readonly name = 'admin socket';
  readonly path: string;
  readonly #server: Server;

  constructor(options: AdminSocketOptions) {
    this.path = options.path;
    const { routes, logger, clock = systemClock, largeBodies = [] } = options;
    const handler = adminHandler({ routes, logger, clock, largeBodies, operatorOf: () => LOCAL_OPERATOR });
    this.#server = createServer(ADMIN_LIMITS, handler);
  }

  /** @throws MeshError `CONFIG_INVALID` for a path that is too long, `ADDRESS_IN_USE` */
  async start(): Promise<void> {
    if (Buffer.byteLength(this.path) > MAX_SOCKET_PATH_BYTES) {
      throw new MeshError(
        'CONFIG_INVALID',
        `${this.path} is longer than the path of a socket can be (${MAX_SOCKET_PATH_BYTES} bytes)`,
        {
          hint: 'choose a shorter state directory',
        },
      );
    }
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    await clearStaleSocket(this.path);
    await listen(this.#server, { path: this.path }, 'the admin socket');
    await chmod(this.path, 0o600);
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

/**
 * Removes the socket file that a killed process left behind. One that somebody answers on is left alone, and so is
 * whatever is no socket: a path given by mistake must not cost a file.
 *
 * @throws MeshError `ADDRESS_IN_USE`
 */
export async function clearStaleSocket(path: string): Promise<void> {
  const there = await lstat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (there === undefined) return;
  if (!there.isSocket()) {
    throw new MeshError('ADDRESS_IN_USE', `${path} is there already and is no socket`, {
      hint: 'choose another path, or remove what is there',
    });
  }
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (alive) {
    throw new MeshError('ADDRESS_IN_USE', `another process listens on unix:${path}`, {
      hint: 'stop it, or choose another path',
    });
  }
  await rm(path, { force: true });
}
