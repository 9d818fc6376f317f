import { request } from 'node:http';
import { MeshError } from '../../domain/mesh-error.ts';

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const TIMEOUT_MS = 5_000;

/**
 * Reads from the admin socket of a sidecar.
 *
 * @throws MeshError `ADMIN_REFUSED` for any status but 200; the system's error (`ENOENT`, `ECONNREFUSED`, `EACCES`, …)
 * where nobody answers.
 */
export async function readAdmin(socket: string, path: string): Promise<unknown> {
  const { status, answer } = await askAdmin(socket, { path });
  if (status !== 200) {
    throw new MeshError('ADMIN_REFUSED', `${socket} answered ${path} with ${status}: ${answer.trim().slice(0, 500)}`);
  }
  return JSON.parse(answer) as unknown;
}

/**
 * Asks an admin socket, or another unix socket that speaks HTTP.
 *
 * @returns the answer, whatever it says.
 * @throws the system's error where nobody answers.
 */
export function askAdmin(
  socketPath: string,
  { method = 'GET', path, body }: { readonly method?: 'GET' | 'POST'; readonly path: string; readonly body?: string },
): Promise<{ status: number; answer: string }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const call = request(
      { socketPath, method, path, agent: false, headers: { host: 'localhost' }, signal },
      (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          answer += chunk;
          if (answer.length > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too long'));
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, answer }));
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}
