import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'node:https';
import type { TestContext } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import { readOperatorFile, type OperatorFile } from '../../src/cli/operator/operator-file.ts';
import { createTlsContext } from '../../src/crypto/tls-context.ts';
import { hostOf, portOf } from './admin-request.ts';
import type { HttpQuestion } from './http-exchange.ts';
import { pollUntil } from './poll-until.ts';
import { runAit, type Outcome } from './run-ait.ts';
import type { TestAuthority } from './test-authority.ts';

/** Makes an operator through the admin socket. @returns the path of its file. */
export async function createOperator(
  authority: TestAuthority,
  name: string,
  { role, expires }: { readonly role: 'viewer' | 'admin'; readonly expires?: string },
): Promise<string> {
  const folder = join(authority.folder, 'operators');
  await mkdir(folder, { recursive: true });
  const out = join(folder, `${name}-${performance.now()}.json`);
  const args = ['operator', 'create', name, '--role', role, '--admin', authority.adminSocket, '--out', out];
  const made = await runAit([...args, ...(expires === undefined ? [] : ['--expires', expires])]);
  if (made.code !== 0) throw new Error(made.output);
  return out;
}

/** Until so many instances, and no others, have reported that they are ready: each says so a while after it is. */
export async function reportedReady(authority: TestAuthority, count: number): Promise<void> {
  const question = { method: 'GET', path: '/instances' } as const;
  await pollUntil(
    async () =>
      (await askAuthority({ admin: authority.adminSocket }, question)) as readonly { readonly state: string }[],
    (all) => all.length === count && all.every(({ state }) => state === 'ready'),
  );
}

/** A folder with nothing in it, and `ait` run in it with no home but it. */
export async function elsewhere(t: TestContext): Promise<(args: readonly string[]) => Promise<Outcome>> {
  const folder = await mkdtemp(join(tmpdir(), 'ait-operator-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return (args) => runAit(args, { env: { HOME: folder }, cwd: folder });
}

/** What is shown on a connection to the operators' port. */
export interface Shown {
  readonly certPem?: string;
  readonly keyPem?: string;
  readonly roots: readonly string[];
}

export function shownBy(file: string | OperatorFile): Shown {
  const { certificate, key, roots } = typeof file === 'string' ? readOperatorFile(file) : file;
  return { certPem: certificate, keyPem: key, roots };
}

/** One request on a connection of its own. @throws the error of the connection, when there is no answer */
export function askOperators(
  address: string,
  { certPem, keyPem, roots }: Shown,
  { method = 'GET', path, headers = {}, body }: HttpQuestion,
): Promise<{ readonly status: number; readonly type: string; readonly text: string; readonly code: unknown }> {
  const identity = certPem === undefined || keyPem === undefined ? {} : { certPem, keyPem };
  const { secureContext } = createTlsContext({ ...identity, caPems: roots });
  const tls: ConnectionOptions = {
    secureContext,
    ALPNProtocols: ['http/1.1'],
    checkServerIdentity: () => undefined,
  };
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: hostOf(address),
        port: portOf(address),
        method,
        path,
        headers,
        ...tls,
        agent: false,
        timeout: 15_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const type = response.headers['content-type'] ?? '';
          const problem = type === 'application/problem+json' ? (JSON.parse(text) as { code?: unknown }) : {};
          resolve({ status: response.statusCode ?? 0, type, text, code: problem.code });
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`no answer to ${method} ${path}`)));
    call.on('error', reject);
    call.end(body);
  });
}
