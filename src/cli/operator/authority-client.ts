import { request as requestHttp, type ClientRequest, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import { authorityId } from '../../domain/agent-id.ts';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { rootPin, serverNameOfPin } from '../../crypto/root-pin.ts';
import { verifyChain } from '../../crypto/chain.ts';
import { clientTlsOptions, createTlsContext } from '../../crypto/tls-context.ts';
import { systemClock } from '../../platform/clock.ts';
import { resolveTarget, type AuthorityTarget } from './authority-target.ts';
import type { OperatorFile } from './operator-file.ts';
import type { TargetFlags } from './target-options.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

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
    const hint = typeof code === 'string' && Object.hasOwn(HINTS, code) ? HINTS[code] : undefined;
    super(
      'ADMIN_REFUSED',
      `the authority refused: ${typeof code === 'string' ? `${code}: ` : ''}${words}`,
      hint === undefined ? {} : { hint },
    );
    this.status = status;
    this.problem = problem;
  }
}

/** What to do about a refusal, where the refusal itself does not say. */
const HINTS: Readonly<Record<string, string>> = {
  CERTIFICATE_REFUSED: 'have an administrator make a new operator file with `ait operator create`',
  NOT_AN_OPERATOR: 'use the file that `ait operator create` wrote',
  OPERATOR_UNKNOWN: 'have an administrator make a new operator file with `ait operator create`',
  OPERATOR_REVOKED: 'have an administrator make a new operator file with `ait operator create`',
  OPERATOR_EXPIRED: 'have an administrator make a new operator file with `ait operator create`',
  ROLE_TOO_LOW: 'ask an operator with the role admin',
  ROUTE_UNKNOWN: 'the authority is of another version than this command',
};

/**
 * Asks a running authority for something.
 *
 * @returns the JSON of its answer.
 * @throws AuthorityProblem with the authority's own words; MeshError `AUTHORITY_UNREACHABLE`, `CONFIG_INVALID`,
 *   `FILE_UNREADABLE`
 */
export async function askAuthority(flags: TargetFlags, question: AuthorityQuestion): Promise<unknown> {
  return askTarget(resolveTarget(flags), question);
}

/** As {@link askAuthority}, for a target that is settled already. */
export async function askTarget(target: AuthorityTarget, question: AuthorityQuestion): Promise<unknown> {
  const { status, text } = await send(target, question);
  const answer = parse(text);
  if (status >= 200 && status < 300) return answer;
  const problem = typeof answer === 'object' && answer !== null && !Array.isArray(answer) ? (answer as JsonObject) : {};
  throw new AuthorityProblem(status, problem);
}

function send(
  target: AuthorityTarget,
  { method, path, query = {}, body }: AuthorityQuestion,
): Promise<{ status: number; text: string }> {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
  const content = body === undefined ? '' : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const call = open(target, {
      path: path + search,
      method,
      headers: {
        // Whatever the address is called: the authority answers to this name, and no web page can give it.
        host: 'localhost',
        ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
      },
      signal,
      agent: false,
    });
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too long'));
        chunks.push(chunk);
      });
      response.on('error', (cause) => reject(unreachable(target, cause)));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    call.on('error', (cause: NodeJS.ErrnoException) => {
      const late = signal.aborted ? new Error(`no answer within ${TIMEOUT_MS} ms`) : cause;
      reject(isMeshError(cause) ? cause : unreachable(target, late));
    });
    call.end(content);
  });
}

function open(target: AuthorityTarget, options: RequestOptions): ClientRequest {
  if (target.kind === 'socket') return requestHttp({ ...options, socketPath: target.path });
  const { address, file } = target;
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  return requestHttps({ ...options, host, port: Number(address.slice(at + 1)), ...tlsOf(target.address, file) });
}

/** Whoever answers must show the authority's own name under a root of the file; nobody else sees our request. */
function tlsOf(address: string, file: OperatorFile) {
  const { certificate, key, roots, trustDomain } = file;
  const expected = authorityId(trustDomain);
  const trusted = roots.map((root) => readX509(root));
  const options = clientTlsOptions({
    context: createTlsContext({ certPem: certificate, keyPem: key, caPems: roots }),
    alpn: ['http/1.1'],
    checkPeer: (der) => {
      const chain = verifyChain({ leaf: der, roots: trusted, at: systemClock.now() });
      if (!chain.ok) return impostor(address, chain.detail);
      const { spiffeId } = chain.identity;
      return spiffeId === expected ? undefined : impostor(address, `it is ${spiffeId}, not ${expected}`);
    },
  });
  // The authority may have several roots; it shows a certificate by one that the file knows.
  const [known] = trusted;
  return { ...options, ...(known !== undefined && { servername: serverNameOfPin(rootPin(known.raw)) }) };
}

function impostor(address: string, detail: string): MeshError {
  return new MeshError('AUTHORITY_UNREACHABLE', `${address} is not the authority of the operator file: ${detail}`, {
    hint: 'correct the address, or use the operator file of that mesh',
  });
}

const SOCKET_HINTS: Readonly<Record<string, string>> = {
  ENOENT:
    'start the authority, or name its socket with --admin <state_dir>/admin.sock; elsewhere than on its machine, name an operator file with --operator',
  ECONNREFUSED: 'start the authority: the socket is what an earlier one left behind',
  EACCES: "run this as the authority's user: the socket is for that user alone",
};
const CERTIFICATE_HINT =
  'the authority is of another mesh than the operator file, or its root has changed: get a new file with `ait operator create`';
const NETWORK_HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'start the authority, or correct --authority; its operators_listen says where it listens',
  ECONNRESET:
    'it hung up: this may be another port of it (operators_listen is meant), or the operator file is of another mesh',
  ENOTFOUND: 'correct the host name in --authority',
  SELF_SIGNED_CERT_IN_CHAIN: CERTIFICATE_HINT,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: CERTIFICATE_HINT,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: CERTIFICATE_HINT,
  CERT_HAS_EXPIRED: "set this machine's clock: the authority's certificate looks expired",
  CERT_NOT_YET_VALID: "set this machine's clock: the authority's certificate looks too new",
};

function unreachable(target: AuthorityTarget, cause: NodeJS.ErrnoException): MeshError {
  const socket = target.kind === 'socket';
  const hint = (socket ? SOCKET_HINTS : NETWORK_HINTS)[cause.code ?? ''];
  const way = socket ? `through ${target.path}` : `at ${target.address}`;
  return new MeshError('AUTHORITY_UNREACHABLE', `the authority cannot be reached ${way}: ${cause.message}`, {
    cause,
    ...(hint !== undefined && { hint }),
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Whoever answered so is no authority; its status says the rest.
    return undefined;
  }
}
