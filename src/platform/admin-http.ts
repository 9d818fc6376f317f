import type { IncomingMessage, RequestListener, ServerOptions, ServerResponse } from 'node:http';
import { JsonError, parseStrictJsonBytes, type JsonValue } from '../domain/canonical/strict-json.ts';
import { ShapeError } from '../domain/json-shape.ts';
import { isMeshError } from '../domain/mesh-error.ts';
import type { Clock } from './clock.ts';
import { foreignRequest } from './foreign-request.ts';
import type { Logger } from './logger.ts';
import { RateLimit } from './rate-limit.ts';

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

/** Why a request is not served, as an RFC 9457 problem: `status`, a stable `code`, `detail` and whatever else it has. */
export class AdminProblem extends Error {
  override readonly name = 'AdminProblem';
  readonly status: number;
  readonly code: string;
  readonly more: Readonly<Record<string, unknown>>;

  /** @param status an HTTP status from 400 on (RFC 9110). */
  constructor(status: number, code: string, detail: string, more: Readonly<Record<string, unknown>> = {}) {
    super(detail);
    this.status = status;
    this.code = code;
    this.more = more;
  }
}

/** One request, as it was answered. */
export interface ServedRequest {
  readonly operator: Operator | undefined;
  readonly method: string;
  readonly status: number;
}

export interface AdminHandlerOptions {
  readonly routes: AdminRoutes;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Who asks, judged anew for every request. */
  readonly operatorOf: (request: IncomingMessage) => Operator | AdminProblem;
  /** A name, besides `localhost` and IP addresses, by which this listener may be called. */
  readonly hostName?: () => string | undefined;
  /** Paths that take bodies of up to 512 KiB; the others take 16 KiB. Default: none. */
  readonly largeBodies?: readonly string[];
  readonly onServed?: (served: ServedRequest) => void;
}

const MAX_BODY_BYTES = 16 * 1024;
const MAX_LARGE_BODY_BYTES = 512 * 1024;

/** Limits of an HTTP server that takes these requests; all in ms or bytes. */
export const ADMIN_LIMITS = {
  requestTimeout: 10_000,
  headersTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
} as const satisfies ServerOptions;

/** Whoever is refused can come back as often as they like: it must not fill the disk. */
const REFUSED_LINES = { burst: 100, perSecond: 2 } as const;
const MAX_LOGGED_CHARS = 200;

/**
 * The HTTP of every way in for operators: routing, strict bodies, roles, problems, and one log line
 * (`operator_request`) for each request that changes or discloses something, or that was refused.
 *
 * A browser must not be able to do anything here for somebody whose pages it shows: whatever comes with an `Origin`, or
 * from a page, is refused; so is any host name but our own, which is what a rebound DNS name would bring along.
 */
export function adminHandler(options: AdminHandlerOptions): RequestListener {
  const refusedLines = new RateLimit({ ...REFUSED_LINES, clock: options.clock });
  return (request, response) => {
    serve(request, response, { ...options, refusedLines }).catch(() => response.destroy());
  };
}

interface Serving extends AdminHandlerOptions {
  readonly refusedLines: RateLimit;
}

async function serve(request: IncomingMessage, response: ServerResponse, serving: Serving): Promise<void> {
  const { logger, onServed, refusedLines } = serving;
  const method = request.method ?? '';
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const judged = serving.operatorOf(request);
  const operator = judged instanceof AdminProblem ? undefined : judged;
  const answer = await answerTo({ request, judged, path, query }, serving);
  const { status = 200, body } = answer;
  onServed?.({ operator, method, status });
  const refused = status === 401 || status === 403 || status === 421;
  if (refused ? operator !== undefined || refusedLines.take() : method === 'POST') {
    const code = isProblem(answer) ? (body as { code?: unknown }).code : undefined;
    logger[refused ? 'warn' : 'info']('operator_request', {
      operator: operator?.name ?? '',
      role: operator?.role,
      method: method.slice(0, 16),
      path: path.slice(0, MAX_LOGGED_CHARS),
      outcome: status < 400 ? 'ok' : refused ? 'refused' : 'failed',
      status,
      code,
      ...(refused && { peer: request.socket.remoteAddress, detail: detailOf(body) }),
    });
  }
  // A stranger gets an answer, and no place to stay.
  if (operator === undefined) response.shouldKeepAlive = false;
  send(response, answer);
}

function detailOf(body: unknown): string {
  return String((body as { detail?: unknown } | null)?.detail).slice(0, MAX_LOGGED_CHARS);
}

interface Question {
  readonly request: IncomingMessage;
  readonly judged: Operator | AdminProblem;
  readonly path: string;
  readonly query: string;
}

async function answerTo(
  question: Question,
  { routes, logger, hostName, largeBodies = [] }: Serving,
): Promise<AdminAnswer> {
  const { request, judged, path, query } = question;
  try {
    if (judged instanceof AdminProblem) throw judged;
    refuseBrowsers(request, hostName?.());
    const route = findRoute(routes, request.method ?? '', path);
    if (request.method === 'POST' && judged.role !== 'admin') {
      throw new AdminProblem(403, 'ROLE_TOO_LOW', `${judged.name} is a ${judged.role}; this takes the role admin`);
    }
    const maxBytes = largeBodies.includes(path) ? MAX_LARGE_BODY_BYTES : MAX_BODY_BYTES;
    const body = request.method === 'POST' ? await readBody(request, maxBytes) : undefined;
    return await route({ body, query: new URLSearchParams(query), operator: judged });
  } catch (error) {
    const { status, code, message: detail, more } = problemOf(error);
    if (status === 500) logger.error('admin_failed', { path: path.slice(0, MAX_LOGGED_CHARS), error });
    return { status, body: { ...more, status, code, detail } };
  }
}

function findRoute(routes: AdminRoutes, method: string, path: string): AdminRoutes[keyof AdminRoutes] {
  const name = `${method} ${path}` as keyof AdminRoutes;
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
  if (route !== undefined) return route;
  const others = Object.keys(routes).filter((known) => known.split(' ', 2)[1] === path);
  if (others.length > 0) {
    const methods = others.map((known) => known.split(' ', 1)[0]).join(', ');
    throw new AdminProblem(405, 'METHOD_NOT_ALLOWED', `${path} takes ${methods} only`);
  }
  throw new AdminProblem(404, 'ROUTE_UNKNOWN', `there is ${Object.keys(routes).join(', ')}`);
}

function refuseBrowsers({ headers }: IncomingMessage, hostName: string | undefined): void {
  const foreign = foreignRequest(headers, hostName);
  if (foreign === 'page') throw new AdminProblem(403, 'ORIGIN_REFUSED', 'requests of web pages are refused');
  if (foreign === 'host') {
    throw new AdminProblem(421, 'HOST_REFUSED', 'the header Host names neither localhost, nor an address, nor us');
  }
}

function problemOf(error: unknown): AdminProblem {
  if (error instanceof AdminProblem) return error;
  if (error instanceof ShapeError || error instanceof JsonError) {
    return new AdminProblem(400, 'REQUEST_INVALID', error.message);
  }
  if (isMeshError(error, 'STATE_NOT_WRITTEN')) return new AdminProblem(503, error.code, error.message);
  if (isMeshError(error) && error.code !== 'INTERNAL') return new AdminProblem(400, error.code, error.message);
  return new AdminProblem(500, 'INTERNAL', 'the process failed; its log has the cause');
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<AdminBody> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) throw new AdminProblem(413, 'BODY_TOO_LARGE', `more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    // A caller that hung up, or was hung up on for being slow, is no defect of ours.
    if (request.destroyed && !request.complete && !(error instanceof AdminProblem)) {
      throw new AdminProblem(400, 'REQUEST_INCOMPLETE', 'the body never came to its end');
    }
    throw error;
  }
  return length === 0 ? undefined : parseStrictJsonBytes(Buffer.concat(chunks));
}

/** What a route answers with an error's status and a `detail` is a problem, too. */
function isProblem({ status = 200, body }: AdminAnswer): boolean {
  return status >= 400 && typeof (body as { detail?: unknown } | null)?.detail === 'string';
}

function send(response: ServerResponse, answer: AdminAnswer): void {
  const type = isProblem(answer) ? 'application/problem+json' : 'application/json';
  response
    .writeHead(answer.status ?? 200, { 'content-type': type, 'cache-control': 'no-store' })
    .end(`${JSON.stringify(answer.body)}\n`);
}
