import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { resolveAgentId, trustDomainOf, type SpiffeId, type TrustDomain } from '../domain/agent-id.ts';
import { JsonError, parseStrictJsonBytes, type JsonValue } from '../domain/canonical/strict-json.ts';
import { parseDuration } from '../domain/duration.ts';
import { joinCredentialToText } from '../domain/join-credential.ts';
import { integerAt, objectAt, ShapeError, stringAt } from '../domain/json-shape.ts';
import { isMeshError, MeshError } from '../domain/mesh-error.ts';
import { isHostPort } from '../domain/host-port.ts';
import type { Component } from '../platform/component.ts';
import type { Logger } from '../platform/logger.ts';
import type { AdminViews } from './admin-views.ts';
import type { JoinCredentials } from './join-credentials.ts';
import { listen } from './listen-address.ts';

/** Where a unix socket's path is cut off by the system. */
const MAX_SOCKET_PATH_BYTES = 107;
const MAX_BODY_BYTES = 16 * 1024;
const DEFAULT_USES = 100;
const DEFAULT_EXPIRES = '30d';
const MAX_LIFETIME_MS = 366 * 86_400_000;

export interface AdminListenerOptions {
  readonly path: string;
  readonly trustDomain: TrustDomain;
  readonly credentials: JoinCredentials;
  readonly rootSha256: string;
  /** What a new credential points to: `host:port`. */
  readonly advertised: () => string;
  readonly views: AdminViews;
  readonly logger: Logger;
}

/** A request that cannot be served, with its HTTP status (RFC 9110). */
class AdminError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * The operator's door: HTTP over a unix socket that only the authority's user can open. A browser cannot reach it, and
 * is refused all the same (`Origin`); nothing changes by GET.
 *
 * `POST /join-credentials` `{agent, uses?, expires?, authority?}`, `GET /status`, `/agents`, `/instances`,
 * `/policy-problems`. Errors are RFC 9457 problems.
 */
export class AdminListener implements Component {
  readonly name = 'admin socket';
  readonly #options: AdminListenerOptions;
  readonly #server: Server;

  constructor(options: AdminListenerOptions) {
    this.#options = options;
    this.#server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  async start(): Promise<void> {
    const { path } = this.#options;
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      throw new MeshError(
        'CONFIG_INVALID',
        `${path} is longer than a socket's path can be (${MAX_SOCKET_PATH_BYTES})`,
        {
          hint: 'choose a shorter state_dir',
        },
      );
    }
    // The state directory is locked by this process, so a socket that is there is what a killed one left behind.
    await rm(path, { force: true });
    await listen(this.#server, { path }, 'the admin socket');
    await chmod(path, 0o600);
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { status, body } = await this.#route(request);
      send(response, status, 'application/json', body);
    } catch (error) {
      const status = error instanceof AdminError ? error.status : 500;
      if (status === 500) this.#options.logger.error('admin_failed', { path: request.url, error });
      const detail = status === 500 ? 'the authority failed; its log has the cause' : (error as Error).message;
      send(response, status, 'application/problem+json', { status, detail });
    }
  }

  async #route(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    if (request.headers.origin !== undefined) throw new AdminError(403, 'requests of web pages are refused');
    const { views } = this.#options;
    const routes: Record<string, { method: 'GET' | 'POST'; answer: () => unknown; status: number }> = {
      '/status': { method: 'GET', status: 200, answer: () => views.status() },
      '/agents': { method: 'GET', status: 200, answer: () => views.agents() },
      '/instances': { method: 'GET', status: 200, answer: () => views.instances() },
      '/policy-problems': { method: 'GET', status: 200, answer: () => views.policyProblems() },
      '/join-credentials': { method: 'POST', status: 201, answer: () => this.#createCredential(request) },
    };
    const route = Object.hasOwn(routes, request.url ?? '') ? routes[request.url ?? ''] : undefined;
    if (route === undefined) throw new AdminError(404, `there is ${Object.keys(routes).join(', ')}`);
    if (request.method !== route.method) throw new AdminError(405, `${request.url} takes ${route.method} only`);
    return { status: route.status, body: await route.answer() };
  }

  async #createCredential(request: IncomingMessage): Promise<unknown> {
    const { credentials, trustDomain, rootSha256, advertised, logger } = this.#options;
    const { agent, uses, lifetimeMs, authority } = readRequest(await readBody(request), trustDomain, advertised());
    const { id, secret, expiresAt } = await credentials.create({ agent, uses, lifetimeMs });
    logger.info('join_credential_created', {
      agent,
      credential_id: id,
      uses,
      expires_at: new Date(expiresAt).toISOString(),
    });
    const credential = joinCredentialToText({ trustDomain, agent, id, secret, rootSha256, authority, expiresAt });
    return { id, agent, uses, expires_at: new Date(expiresAt).toISOString(), authority, credential };
  }
}

interface CredentialRequest {
  readonly agent: SpiffeId;
  readonly uses: number;
  readonly lifetimeMs: number;
  readonly authority: string;
}

function readRequest(body: Uint8Array, trustDomain: TrustDomain, advertised: string): CredentialRequest {
  try {
    const object = objectAt(parseStrictJsonBytes(body), 'request', {
      required: ['agent'],
      optional: ['uses', 'expires', 'authority'],
    });
    const agent = resolveAgentId(trustDomain, stringAt(object['agent'], 'agent', /^[^\s]{1,2048}$/, 'a name'));
    if (trustDomainOf(agent) !== trustDomain) throw new ShapeError('agent', `not of the trust domain ${trustDomain}`);
    const expires = stringAt(object['expires'] ?? DEFAULT_EXPIRES, 'expires', /^.{1,16}$/, 'a duration');
    const lifetimeMs = parseDuration(expires);
    if (lifetimeMs < 1 || lifetimeMs > MAX_LIFETIME_MS) throw new ShapeError('expires', 'not from 1ms to 366d');
    const authority: JsonValue = object['authority'] ?? advertised;
    if (!isHostPort(authority)) throw new ShapeError('authority', 'not host:port');
    return {
      agent,
      uses: integerAt(object['uses'] ?? DEFAULT_USES, 'uses', { min: 1, max: 1_000_000 }),
      lifetimeMs,
      authority,
    };
  } catch (error) {
    if (error instanceof ShapeError || error instanceof JsonError || isMeshError(error)) {
      throw new AdminError(400, error.message);
    }
    throw error;
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new AdminError(413, `more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, status: number, type: string, body: unknown): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(`${JSON.stringify(body)}\n`);
}
