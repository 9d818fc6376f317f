import { request } from 'node:http';
import { MeshError } from '../domain/mesh-error.ts';

const TIMEOUT_MS = 10_000;

export interface AdminPost {
  /** Path of the authority's admin socket. */
  readonly socket: string;
  readonly path: string;
  readonly body: object;
}

/**
 * Asks a running authority for something.
 *
 * @returns the JSON of its answer.
 * @throws MeshError `ADMIN_REFUSED` with the authority's own words, or what kept us from reaching it
 */
export async function postAdmin({ socket, path, body }: AdminPost): Promise<unknown> {
  const { status, text } = await send(socket, path, JSON.stringify(body));
  const answer = parse(text);
  if (status === 200 || status === 201) return answer;
  const detail = (answer as { detail?: unknown } | undefined)?.detail;
  throw new MeshError(
    'ADMIN_REFUSED',
    `the authority refused: ${typeof detail === 'string' ? detail : `HTTP ${status}`}`,
  );
}

function send(socketPath: string, path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const call = request({ socketPath, path, method: 'POST', headers, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    call.on('error', (cause: NodeJS.ErrnoException) => reject(unreachable(socketPath, cause)));
    call.end(body);
  });
}

function unreachable(socket: string, cause: NodeJS.ErrnoException): MeshError {
  const hints: Record<string, string> = {
    ENOENT: 'start the authority, or name its socket with --admin <state_dir>/admin.sock',
    ECONNREFUSED: 'start the authority: the socket is what an earlier one left behind',
    EACCES: "run this as the authority's user: the socket is for that user alone",
  };
  const hint = hints[cause.code ?? ''];
  return new MeshError('ADMIN_REFUSED', `the authority cannot be reached through ${socket}: ${cause.message}`, {
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
