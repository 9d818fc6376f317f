import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { MeshError, isMeshError } from '../domain/mesh-error.ts';
import type { Component } from './component.ts';
import { listen } from './listen-address.ts';

/** What a route answers with: any JSON, or an error's status and text. */
export interface AdminAnswer {
  readonly status?: number;
  readonly body: unknown;
}

export interface AdminRequest {
  readonly query: URLSearchParams;
  /** Parsed JSON of a POST, `undefined` without a body. */
  readonly body: unknown;
}

/** Routes by method and path: `GET /status`. A path of POST is never reachable by GET. */
export type AdminRoutes = Readonly<
  Record<`${'GET' | 'POST'} /${string}`, (request: AdminRequest) => AdminAnswer | Promise<AdminAnswer>>
>;

const MAX_BODY_BYTES = 64 * 1024;

/**
 * An operator's way into a process: HTTP over a unix socket that only the process's own user can open (0600). A browser
 * cannot reach it, and a request that a browser could have made (with an `Origin`) is refused all the same.
 */
export class AdminSocket implements Component {
  readonly name = 'admin';
  readonly path: string;
  readonly #routes: AdminRoutes;
  readonly #server: Server;

  constructor({ path, routes }: { readonly path: string; readonly routes: AdminRoutes }) {
    this.path = path;
    this.#routes = routes;
    this.#server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        send(response, {
          status: isMeshError(error) ? 400 : 500,
          body: { error: message, ...(isMeshError(error) && { code: error.code, hint: error.hint }) },
        });
      });
    });
  }

  async start(): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    await clearStaleSocket(this.path);
    await listen(this.#server, { path: this.path }, 'admin');
    await chmod(this.path, 0o600);
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://admin');
    if (request.headers.origin !== undefined) {
      send(response, { status: 403, body: { error: 'requests with an Origin are refused' } });
      return;
    }
    const method = request.method === 'POST' ? 'POST' : 'GET';
    const route = this.#routes[`${method} ${pathname}` as keyof AdminRoutes];
    if (route === undefined || (request.method !== 'GET' && request.method !== 'POST')) {
      const known = Object.keys(this.#routes).filter((name) => name.endsWith(` ${pathname}`));
      const status = known.length > 0 ? 405 : 404;
      send(response, {
        status,
        body: { error: `there is no ${request.method} ${pathname}`, routes: Object.keys(this.#routes) },
      });
      return;
    }
    send(response, await route({ query: searchParams, body: await readBody(request) }));
  }
}

/**
 * Removes the socket file that a killed process left behind; one that somebody answers on is left alone.
 *
 * @throws MeshError `ADDRESS_IN_USE`
 */
export async function clearStaleSocket(path: string): Promise<void> {
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

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES)
      throw new MeshError('ADMIN_REFUSED', `a request body has at most ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (cause) {
    throw new MeshError('ADMIN_REFUSED', 'the request body is not JSON', { cause });
  }
}

function send(response: ServerResponse, { status = 200, body }: AdminAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
