import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { JsonError, parseStrictJsonBytes, type JsonValue } from '../domain/canonical/strict-json.ts';
import { ShapeError } from '../domain/json-shape.ts';
import { MeshError, isMeshError } from '../domain/mesh-error.ts';
import type { Component } from './component.ts';
import { listen } from './listen-address.ts';
import type { Logger } from './logger.ts';

export interface AdminAnswer {
  /** Default 200. */
  readonly status?: number;
  /** Anything that JSON can say. */
  readonly body: unknown;
}

/** What a POST carried; `undefined` for a GET or an empty body. */
export type AdminBody = JsonValue | undefined;

/** Who asks. A viewer may GET, an admin may POST, too. */
export interface Operator {
  readonly name: string;
  readonly role: 'viewer' | 'admin';
}

export interface AdminRequest {
  readonly body: AdminBody;
  /** What stands behind the `?`. */
  readonly query: URLSearchParams;
  readonly operator: Operator;
}

/** Routes by method and path, such as `GET /status`. What changes or discloses anything is a POST. */
export type AdminRoutes = Readonly<
  Record<`${'GET' | 'POST'} /${string}`, (request: AdminRequest) => AdminAnswer | Promise<AdminAnswer>>
>;

/** Whoever can open the socket is the process's own user, and may do what it may. */
const LOCAL_OPERATOR: Operator = { name: 'local', role: 'admin' };

export interface AdminSocketOptions {
  readonly path: string;
  readonly routes: AdminRoutes;
  readonly logger: Logger;
}

const MAX_BODY_BYTES = 16 * 1024;
/** Where the system cuts off the path of a unix socket. */
const MAX_SOCKET_PATH_BYTES = 107;

/** A request that cannot be served, with its HTTP status (RFC 9110). */
class AdminProblem extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * An operator's way into a process: HTTP over a unix socket that only the process's own user can open (0600). A browser
 * cannot reach it, and a request that a browser could have made (with an `Origin`) is refused all the same. Errors are
 * RFC 9457 problems.
 */
export class AdminSocket implements Component {
  readonly name = 'admin socket';
  readonly path: string;
  readonly #options: AdminSocketOptions;
  readonly #server: Server;

  constructor(options: AdminSocketOptions) {
    this.path = options.path;
    this.#options = options;
    const limits = { requestTimeout: 10_000, headersTimeout: 5_000, connectionsCheckingInterval: 1_000 };
    this.#server = createServer(limits, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
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

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      send(response, await this.#route(request));
    } catch (error) {
      const status = statusOf(error);
      if (status === 500) this.#options.logger.error('admin_failed', { path: request.url, error });
      const detail = status === 500 ? 'the process failed; its log has the cause' : (error as Error).message;
      const code = status !== 500 && isMeshError(error) ? error.code : undefined;
      send(response, { status, body: { status, code, detail } }, 'application/problem+json');
    }
  }

  async #route(request: IncomingMessage): Promise<AdminAnswer> {
    const { routes } = this.#options;
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (request.headers.origin !== undefined) throw new AdminProblem(403, 'requests of web pages are refused');
    const name = `${request.method ?? ''} ${path}` as keyof AdminRoutes;
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
    if (route !== undefined) {
      const body = request.method === 'POST' ? await readBody(request) : undefined;
      return route({ body, query: new URLSearchParams(query), operator: LOCAL_OPERATOR });
    }
    const others = Object.keys(routes).filter((known) => known.split(' ', 2)[1] === path);
    if (others.length > 0)
      throw new AdminProblem(405, `${path} takes ${others.map((known) => known.split(' ', 1)[0]).join(', ')} only`);
    throw new AdminProblem(404, `there is ${Object.keys(routes).join(', ')}`);
  }
}

function statusOf(error: unknown): number {
  if (error instanceof AdminProblem) return error.status;
  if (isMeshError(error, 'STATE_NOT_WRITTEN')) return 503;
  return error instanceof ShapeError || error instanceof JsonError || (isMeshError(error) && error.code !== 'INTERNAL')
    ? 400
    : 500;
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

async function readBody(request: IncomingMessage): Promise<AdminBody> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new AdminProblem(413, `more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return length === 0 ? undefined : parseStrictJsonBytes(Buffer.concat(chunks));
}

function send(response: ServerResponse, { status = 200, body }: AdminAnswer, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(`${JSON.stringify(body)}\n`);
}
