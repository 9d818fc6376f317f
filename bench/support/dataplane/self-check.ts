import { readFileSync } from 'node:fs';
import { connect as connectHttp2, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { createCertificates, type CertificateFiles } from '../certificates.ts';
import type { ProxyPair } from '../proxies.ts';
import { ECHO_PATH, messageOf } from './backend.ts';
import type { Field } from './contenders.ts';

const WITHIN_MS = 5000;
const MESSAGE_BYTES = 100;

/** How a call ended that was made by hand. */
interface Attempt {
  /** HTTP status; `undefined`: the connection was refused. */
  readonly status?: number;
  readonly grpcStatus?: string;
  readonly error?: string;
}

/**
 * That the comparison is fair: of each pair the second proxy refuses whoever has no certificate, or one of another root,
 * or speaks TLS 1.2; all agree on the same cipher suite; and a call comes through with its message and its status.
 *
 * @returns what was found, one line each
 * @throws Error when it is not fair
 */
export async function checkFairness(field: Field, running: ReadonlyMap<string, ProxyPair>): Promise<string[]> {
  const foreign = createCertificates(field.folder, 'foreign-');
  const notes: string[] = [];
  const ciphers = new Set<string>();
  for (const [id, pair] of running) {
    const through = await attempt(`http://127.0.0.1:${pair.port}`);
    if (through.status !== 200 || through.grpcStatus !== '0') fail(pair, 'does not carry a call', through);
    const refusals: string[] = [];
    for (const [who, options] of [
      ['no certificate', {}],
      ['a certificate of another root', clientFiles(foreign)],
    ] as const) {
      const answer = await attempt(`https://127.0.0.1:${pair.between}`, options);
      if (answer.status === 200) fail(pair, `lets in a client with ${who}`, answer);
      refusals.push(`${who}: ${answer.error ?? `status ${answer.status}`}`);
    }
    const own = clientFiles(field.files);
    // A sidecar's peer has an SVID, which is not ours to show; that its own caller comes through has been seen.
    if (id !== 'shipped' && id !== 'logged') {
      const answer = await attempt(`https://127.0.0.1:${pair.between}`, own);
      if (answer.status !== 200) fail(pair, 'refuses the right certificate', answer);
    }
    const old = await handshake(pair.between, { ...own, maxVersion: 'TLSv1.2' });
    if (old.cipher !== undefined) fail(pair, 'speaks TLS 1.2', old);
    const { cipher } = await handshake(pair.between, own);
    ciphers.add(cipher ?? 'none');
    notes.push(`${pair.name} refuses clients with ${refusals.join('; ')}`);
  }
  if (ciphers.size !== 1) throw new Error(`the pairs use different ciphers: ${[...ciphers].join(', ')}`);
  return [...notes, `all: TLS 1.3 only, ${[...ciphers].join()}`];
}

/** That the sidecars decide: a call that no grant names is refused. @throws Error when it is not */
export async function checkDecisions(pair: ProxyPair): Promise<void> {
  const refused = await attempt(`http://127.0.0.1:${pair.port}`, {}, '/bench.Echo/Other');
  if (refused.grpcStatus !== '7') fail(pair, 'carries a call that no grant names', refused);
}

function fail({ name }: ProxyPair, what: string, found: object): never {
  throw new Error(`${name} ${what}: ${JSON.stringify(found)}`);
}

function clientFiles({ cert, key }: CertificateFiles): ConnectionOptions {
  return { cert: readFileSync(cert), key: readFileSync(key) };
}

/** One unary call on a connection of its own. */
function attempt(origin: string, tls: ConnectionOptions = {}, path = ECHO_PATH): Promise<Attempt> {
  return new Promise((resolve) => {
    // Whom it reaches is known; what is asked is whom that lets in.
    const session = connectHttp2(origin, { ...tls, rejectUnauthorized: false, checkServerIdentity: () => undefined });
    const over = (found: Attempt) => {
      clearTimeout(timer);
      session.destroy();
      resolve(found);
    };
    const timer = setTimeout(() => over({ error: 'no answer' }), WITHIN_MS);
    const failed = (error: Error & { code?: string }) => over({ error: error.code ?? error.message });
    session.once('error', failed).once('close', () => over({ error: 'closed' }));
    const found: { status?: number; grpcStatus?: string } = {};
    const note = (headers: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      if (headers[':status'] !== undefined) found.status = headers[':status'];
      if (typeof headers['grpc-status'] === 'string') found.grpcStatus = headers['grpc-status'];
    };
    const call = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    call.on('response', note).on('trailers', note).once('error', failed);
    call.resume().once('end', () => setImmediate(() => over(found)));
    call.end(messageOf(MESSAGE_BYTES));
  });
}

/** @returns the cipher that was agreed on; without one where there was no agreement. */
function handshake(port: number, tls: ConnectionOptions): Promise<{ cipher?: string }> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, ALPNProtocols: ['h2'], rejectUnauthorized: false, ...tls };
    const socket = connectTls(options, () => {
      resolve({ cipher: socket.getCipher().standardName });
      socket.destroy();
    });
    socket.once('error', () => resolve({}));
  });
}
