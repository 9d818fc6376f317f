import { connect, type ClientHttp2Session, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { ECHO_PATH, messageOf } from './backend.ts';

const WITHIN_MS = 10_000;
const MESSAGE_BYTES = 100;

/** How one call ended. */
export interface Answer {
  /** HTTP status; `undefined`: there was none. */
  readonly status?: number;
  readonly grpcStatus?: string;
  readonly bytes: number;
  /** Of the stream or its connection. */
  readonly error?: string;
}

/** Whether the call was answered as the server of this benchmark answers. */
export function isWhole({ status, grpcStatus, bytes }: Answer): boolean {
  return status === 200 && grpcStatus === '0' && bytes === MESSAGE_BYTES;
}

/** One unary call on a connection of its own. @param tls who is shown; whom it reaches is not checked */
export async function callAlone(origin: string, tls: ConnectionOptions = {}, path = ECHO_PATH): Promise<Answer> {
  const session = connect(origin, { ...tls, rejectUnauthorized: false, checkServerIdentity: () => undefined });
  const answer = await callOnce(session, path);
  session.destroy();
  return answer;
}

/** One unary call; never rejects. */
export function callOnce(session: ClientHttp2Session, path = ECHO_PATH): Promise<Answer> {
  return new Promise((resolve) => {
    const found: { status?: number; grpcStatus?: string; bytes: number } = { bytes: 0 };
    const over = (error?: string) => {
      clearTimeout(timer);
      session.off('error', failed).off('close', closed).on('error', ignored);
      resolve(error === undefined ? found : { ...found, error });
    };
    const timer = setTimeout(() => over('no answer'), WITHIN_MS);
    const failed = (error: Error & { code?: string }) => over(error.code ?? error.message);
    const closed = () => over('closed');
    session.once('error', failed).once('close', closed);
    const note = (headers: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      if (headers[':status'] !== undefined) found.status = headers[':status'];
      if (typeof headers['grpc-status'] === 'string') found.grpcStatus = headers['grpc-status'];
    };
    const fixed = { 'content-type': 'application/grpc', te: 'trailers' };
    const call = session.request({ ':method': 'POST', ':path': path, ...fixed });
    call.on('response', note).on('trailers', note).once('error', failed);
    call.on('data', (chunk: Buffer) => (found.bytes += chunk.length));
    call.once('close', () => over());
    call.end(messageOf(MESSAGE_BYTES));
  });
}

/** A session that fails after its call was over is judged by what comes next on it. */
function ignored(): void {
  return undefined;
}

/** @returns the cipher that was agreed on; `undefined` where there was no agreement. */
export function cipherOf(port: number, tls: ConnectionOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, ALPNProtocols: ['h2'], rejectUnauthorized: false, ...tls };
    const socket = connectTls(options, () => {
      resolve(socket.getCipher().standardName);
      socket.destroy();
    });
    socket.once('error', () => resolve(undefined));
  });
}
