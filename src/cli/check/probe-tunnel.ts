import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { isRecord } from '../../platform/config-schema.ts';
import { parseLocalAddress } from '../../sidecar/local-address.ts';
import type { Place } from './ways.ts';

/** What became of a CONNECT. `closed`: the connection ended without an answer. `unreachable`: nobody took it. */
export type TunnelAnswer =
  | { readonly kind: 'established' }
  | { readonly kind: 'refused'; readonly status: number; readonly code: string; readonly correlationId: string }
  | { readonly kind: 'closed'; readonly detail: string }
  | { readonly kind: 'unreachable'; readonly code: string; readonly detail: string };

const MAX_PROBLEM_BYTES = 64 * 1024;

/**
 * Asks a sidecar for a tunnel to a peer, and hangs up as soon as it is there. The peer's sidecar has accepted the
 * connection then, and not a byte has gone through it. Never rejects.
 *
 * @param authority for example `researcher.mesh:443`
 */
export function askTunnel(place: Place, authority: string, timeoutMs: number): Promise<TunnelAnswer> {
  return new Promise((resolve) => {
    const address = parseLocalAddress(place);
    const to = 'path' in address ? { socketPath: address.path } : address;
    const asking = request({ ...to, method: 'CONNECT', path: authority, agent: false, headers: { host: authority } });
    let reached = false;
    const failed = (code: string, detail: string) =>
      done(reached ? { kind: 'closed', detail } : { kind: 'unreachable', code, detail });
    const timer = setTimeout(() => failed('ETIMEDOUT', `no answer within ${timeoutMs} ms`), timeoutMs);
    const done = (answer: TunnelAnswer) => {
      clearTimeout(timer);
      asking.destroy();
      resolve(answer);
    };
    asking.once('socket', (socket) => socket.once('connect', () => (reached = true)));
    asking.on('error', (error: NodeJS.ErrnoException) => {
      failed(error.code ?? '', error.message);
    });
    asking.once('connect', (response, socket: Socket, head: Buffer) => {
      socket.on('error', () => undefined);
      if (response.statusCode === 200) {
        socket.destroy();
        done({ kind: 'established' });
      } else readRefusal(response, socket, head, done);
    });
    asking.end();
  });
}

/** Node leaves the body of a refused CONNECT to us. */
function readRefusal(
  { statusCode: status = 0, headers }: IncomingMessage,
  socket: Socket,
  head: Buffer,
  done: (answer: TunnelAnswer) => void,
): void {
  const chunks = [head];
  let length = head.length;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_PROBLEM_BYTES) socket.destroy();
  });
  socket.once('close', () => {
    const fields = { code: headers['x-ait-refused'], correlation_id: headers['x-ait-correlation-id'] };
    const { code, correlation_id: id } = { ...fields, ...readProblem(Buffer.concat(chunks).toString('utf8')) };
    done({ kind: 'refused', status, code: textOf(code), correlationId: textOf(id) });
  });
}

/** What is no problem of ours says nothing. */
function readProblem(text: string): { readonly code?: unknown; readonly correlation_id?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
