import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { parseLocalAddress } from '../../sidecar/local-address.ts';
import { portOf, type Place } from './ways.ts';

/** Why somebody could not be reached, or did not answer as expected. */
export interface ProbeFailure {
  /** The system's code, such as ECONNREFUSED; empty where there is none. */
  readonly code: string;
  readonly detail: string;
}

/** Opens a connection and closes it again. @returns `undefined`: somebody takes connections there. Never rejects. */
export function tryConnect(place: Place, timeoutMs: number): Promise<ProbeFailure | undefined> {
  return new Promise((resolve) => {
    const socket = connect(parseLocalAddress(place));
    const timer = setTimeout(
      () => done({ code: 'ETIMEDOUT', detail: `no connection within ${timeoutMs} ms` }),
      timeoutMs,
    );
    const done = (failure?: ProbeFailure) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failure);
    };
    socket.once('connect', () => done());
    socket.on('error', (error) => done(failureOf(error)));
  });
}

/**
 * Begins HTTP/2 with prior knowledge, waits until the other side has begun, too, and leaves without a call. Never rejects.
 *
 * @returns `undefined`: HTTP/2 is spoken there
 */
export function greetHttp2(place: Place, timeoutMs: number): Promise<ProbeFailure | undefined> {
  return new Promise((resolve) => {
    const session = connectHttp2('http://localhost', { createConnection: () => connect(parseLocalAddress(place)) });
    const timer = setTimeout(
      () => done({ code: 'ETIMEDOUT', detail: `no SETTINGS within ${timeoutMs} ms` }),
      timeoutMs,
    );
    const done = (failure?: ProbeFailure) => {
      clearTimeout(timer);
      session.destroy();
      resolve(failure);
    };
    session.once('remoteSettings', () => done());
    session.once('close', () => done({ code: '', detail: 'the connection was closed' }));
    session.on('error', (error) => done(failureOf(error)));
  });
}

/** What the inference port says of the models that the agent may use: its status, and our code where it refuses. */
export type ModelsAnswer =
  { readonly ok: true; readonly models: readonly string[] } | { readonly ok: false; readonly failure: ProbeFailure };

const MAX_ANSWER_CHARS = 256 * 1024;

/** Asks for the list of models, which the sidecar answers by itself. Never rejects. */
export function askModels(place: Place, timeoutMs: number): Promise<ModelsAnswer> {
  return new Promise((resolve) => {
    const address = parseLocalAddress(place);
    const to = 'path' in address ? { socketPath: address.path } : address;
    const refused = (failure: ProbeFailure) => resolve({ ok: false, failure });
    const headers = { host: 'localhost' };
    const signal = AbortSignal.timeout(timeoutMs);
    const asking = request({ ...to, path: '/v1/models', agent: false, headers, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_CHARS) asking.destroy(new Error('the answer is too long'));
      });
      response.once('error', (error) => refused(failureOf(error)));
      response.once('end', () => resolve(readModels(response.statusCode ?? 0, text)));
    });
    asking.on('error', (error) => refused(failureOf(error)));
    asking.end();
  });
}

function readModels(status: number, text: string): ModelsAnswer {
  try {
    const answer = JSON.parse(text) as {
      readonly data?: readonly { readonly id: string }[];
      readonly error?: { readonly code?: string };
    };
    if (status === 200 && Array.isArray(answer.data)) return { ok: true, models: answer.data.map(({ id }) => id) };
    return { ok: false, failure: { code: answer.error?.code ?? '', detail: `status ${status}` } };
  } catch {
    return { ok: false, failure: { code: '', detail: `status ${status}, and no JSON` } };
  }
}

/** What the file system says of a socket: who may use it, and who could put another one in its place. */
export interface SocketFacts {
  readonly path: string;
  readonly isSocket: boolean;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly folder: { readonly path: string; readonly mode: number; readonly uid: number };
}

/** @returns `undefined` where there is none, or it cannot be looked at; a port is not looked at */
export async function lookAtSocket(place: Place): Promise<SocketFacts | undefined> {
  if (portOf(place) !== undefined) return undefined;
  const path = place.slice('unix:'.length);
  try {
    const [socket, folder] = await Promise.all([stat(path), stat(dirname(path))]);
    return {
      path,
      isSocket: socket.isSocket(),
      mode: socket.mode & 0o7777,
      uid: socket.uid,
      folder: { path: dirname(path), mode: folder.mode & 0o7777, uid: folder.uid },
    };
  } catch {
    // That nobody can be reached there is told by whoever tries.
    return undefined;
  }
}

function failureOf(error: Error): ProbeFailure {
  return { code: (error as NodeJS.ErrnoException).code ?? '', detail: error.message };
}
