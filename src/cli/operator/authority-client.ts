import { request } from 'node:http';
import { DEFAULT_STATE_DIR } from '../../authority/default-state-dir.ts';
import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import type { TargetFlags } from './target-options.ts';

const TIMEOUT_MS = 10_000;

export interface AuthorityQuestion {
  readonly method: 'GET' | 'POST';
  readonly path: `/${string}`;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: object;
}

/** The authority understood, and says no (RFC 9457). `problem` has what else it said, such as the impact of a change. */
export class AuthorityProblem extends MeshError {
  override readonly name = 'AuthorityProblem';
  readonly status: number;
  readonly problem: JsonObject;

  constructor(status: number, problem: JsonObject) {
    const { detail, code } = problem;
    const words = typeof detail === 'string' ? detail : `HTTP ${status}`;
    super('ADMIN_REFUSED', `the authority refused: ${typeof code === 'string' ? `${code}: ` : ''}${words}`);
    this.status = status;
    this.problem = problem;
  }
}

/**
 * Asks a running authority for something.
 *
 * @returns the JSON of its answer.
 * @throws AuthorityProblem with the authority's own words; MeshError `AUTHORITY_UNREACHABLE`
 */
export async function askAuthority(flags: TargetFlags, question: AuthorityQuestion): Promise<unknown> {
  const socket = flags.admin ?? `${DEFAULT_STATE_DIR}/admin.sock`;
  const { status, text } = await send(socket, question);
  const answer = parse(text);
  if (status >= 200 && status < 300) return answer;
  throw new AuthorityProblem(status, (answer ?? {}) as JsonObject);
}

function send(
  socketPath: string,
  { method, path, query = {}, body }: AuthorityQuestion,
): Promise<{ status: number; text: string }> {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
  const content = body === undefined ? '' : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers = {
      host: 'localhost',
      ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
    };
    const options = { socketPath, path: path + search, method, headers, timeout: TIMEOUT_MS, agent: false };
    const call = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    call.on('error', (cause: NodeJS.ErrnoException) => reject(unreachable(socketPath, cause)));
    call.end(content);
  });
}

function unreachable(socket: string, cause: NodeJS.ErrnoException): MeshError {
  const hints: Record<string, string> = {
    ENOENT: 'start the authority, or name its socket with --admin <state_dir>/admin.sock',
    ECONNREFUSED: 'start the authority: the socket is what an earlier one left behind',
    EACCES: "run this as the authority's user: the socket is for that user alone",
  };
  const hint = hints[cause.code ?? ''];
  return new MeshError('AUTHORITY_UNREACHABLE', `the authority cannot be reached through ${socket}: ${cause.message}`, {
    cause,
    ...(hint !== undefined && { hint }),
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
