import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';
import * as v from 'valibot';
import type { Client, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { startAuthority, type Authority } from '../../src/authority/authority.ts';
import { AuthorityConfigSchema, type AuthorityConfigInput } from '../../src/authority/config.ts';
import { certificateToPem, generateKeyPair, privateKeyToPem, type KeyPair } from '../../src/crypto/keys.ts';
import { createCsr } from '../../src/crypto/csr.ts';
import { findPinnedRoot } from '../../src/crypto/root-pin.ts';
import { createTlsContext, rootProbeTlsOptions } from '../../src/crypto/tls-context.ts';
import { agentId, parseTrustDomain } from '../../src/domain/agent-id.ts';
import { createLogger, type Logger } from '../../src/platform/logger.ts';
import type { WatchResponse__Output } from '../../src/wire/generated/ait/v1/WatchResponse.ts';
import { channelTarget, CHANNEL_OPTIONS, OwnedConnectionCredentials } from '../../src/wire/owned-channel.ts';
import { IdentityClient, JoinClient, ReportClient, StateClient } from '../../src/wire/services.ts';
import type { Clock } from '../../src/platform/clock.ts';

export const TRUST_DOMAIN = parseTrustDomain('acme.example');

/** The log lines of a test, as objects. */
export interface LogBook {
  readonly logger: Logger;
  readonly lines: Record<string, unknown>[];
}

export function createLogBook(): LogBook {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  return { logger: createLogger({ name: 'test', level: 'debug', destination }), lines };
}

/** Writes files below a directory, making folders; content as given. */
export async function writeFiles(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
}

export interface TestAuthority {
  readonly authority: Authority;
  readonly directory: string;
  readonly policyDir: string;
  readonly log: LogBook;
  /** Stops it and starts it again over the same state. */
  restart(): Promise<TestAuthority>;
  close(): Promise<void>;
}

export interface TestAuthorityOptions {
  readonly files?: Readonly<Record<string, string>>;
  readonly config?: Partial<AuthorityConfigInput>;
  readonly clock?: Clock;
  readonly directory?: string;
}

/** An authority in this process, on free ports, over a temporary directory. */
export async function startTestAuthority(options: TestAuthorityOptions = {}): Promise<TestAuthority> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'ait-authority-')));
  const policyDir = join(directory, 'policy');
  await mkdir(policyDir, { recursive: true });
  await writeFiles(policyDir, options.files ?? {});
  const config = v.parse(AuthorityConfigSchema, {
    trust_domain: TRUST_DOMAIN,
    listen: '127.0.0.1:0',
    operators_listen: '127.0.0.1:0',
    metrics_listen: '127.0.0.1:0',
    state_dir: join(directory, 'state'),
    policy_dir: policyDir,
    // In a mesh of three agents every change is a large one; tests of the brake set a limit.
    impact_limit: 100,
    ...options.config,
  });
  const log = createLogBook();
  const authority = await startAuthority({
    config,
    logger: log.logger,
    ...(options.clock && { clock: options.clock }),
  });
  const { files: _, ...again } = options;
  return {
    authority,
    directory,
    policyDir,
    log,
    restart: async () => {
      await authority.stop({ deadlineMs: 2_000 });
      return startTestAuthority({ ...again, directory });
    },
    close: async () => {
      await authority.stop({ deadlineMs: 2_000 });
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The certificate and key with which a client connects. */
export interface ClientIdentity {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface Clients {
  readonly join: InstanceType<typeof JoinClient>;
  readonly identity: InstanceType<typeof IdentityClient>;
  readonly state: InstanceType<typeof StateClient>;
  readonly report: InstanceType<typeof ReportClient>;
  close(): void;
}

/** Clients of all services, each over one TLS connection of its own. Trusts whatever has the pinned root. */
export async function openClients(authority: Authority, identity?: ClientIdentity): Promise<Clients> {
  const [host = '', port = ''] = authority.address.split(':');
  const rootPem = await fetchRoot({ host, port: Number(port), pin: authority.rootSha256 });
  const credentials = () =>
    new OwnedConnectionCredentials(async (tcp: Socket): Promise<TLSSocket> => {
      const { secureContext } = createTlsContext({ caPems: [rootPem], ...identity });
      return new Promise((resolve, reject) => {
        const socket = connect({
          socket: tcp,
          secureContext,
          ALPNProtocols: ['h2'],
          checkServerIdentity: () => undefined,
        });
        socket.once('secureConnect', () => resolve(socket));
        socket.once('error', reject);
      });
    });
  const target = channelTarget(authority.address);
  const made: Client[] = [];
  const make = <T extends Client>(Type: new (...args: ConstructorParameters<typeof JoinClient>) => T): T => {
    const client = new Type(target, credentials(), CHANNEL_OPTIONS);
    made.push(client);
    return client;
  };
  return {
    join: make(JoinClient),
    identity: make(IdentityClient),
    state: make(StateClient),
    report: make(ReportClient),
    close: () => made.forEach((client) => client.close()),
  };
}

async function fetchRoot({ host, port, pin }: { host: string; port: number; pin: string }): Promise<string> {
  const socket = connect({ host, port, ...rootProbeTlsOptions({ alpn: ['h2'] }) });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const chain: Buffer[] = [];
  let certificate = socket.getPeerCertificate(true);
  while (!chain.some((der) => der.equals(certificate.raw))) {
    chain.push(certificate.raw);
    if (certificate.issuerCertificate === undefined) break;
    certificate = certificate.issuerCertificate;
  }
  socket.destroy();
  const root = findPinnedRoot(chain, pin);
  if (root === undefined) throw new Error('the authority did not send the pinned root');
  return certificateToPem(root);
}

export interface Joined {
  readonly instanceId: string;
  readonly bundle: string;
  readonly identity: ClientIdentity;
  readonly clients: Clients;
}

/** What a sidecar does first. */
export async function joinAs(
  authority: Authority,
  name: string,
  credential?: { readonly id: string; readonly secret: Uint8Array },
): Promise<Joined> {
  const agent = agentId(TRUST_DOMAIN, name);
  const { id, secret } = credential ?? (await authority.credentials.create({ agent, uses: 1, lifetimeMs: 60_000 }));
  const keyPair = generateKeyPair();
  const anonymous = await openClients(authority);
  try {
    const request = { credentialId: id, credentialSecret: secret, csrDer: createCsr({ keyPair }) };
    const response = await call<{ certificateDer: Buffer; instanceId: string; trustBundle: string }>((done) =>
      anonymous.join.join(request, done),
    );
    const identity = identityOf(response.certificateDer, keyPair);
    const clients = await openClients(authority, identity);
    return { instanceId: response.instanceId, bundle: response.trustBundle, identity, clients };
  } finally {
    anonymous.close();
  }
}

export function identityOf(der: Uint8Array, keyPair: KeyPair): ClientIdentity {
  return { certPem: certificateToPem(der), keyPem: privateKeyToPem(keyPair.privateKey) };
}

/** A unary call as a promise. */
export function call<T>(start: (done: (error: ServiceError | null, value?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value as T) : reject(error)));
  });
}

/** Reads a Watch one message at a time. */
export function openWatch({ state }: Clients) {
  const stream: ClientReadableStream<WatchResponse__Output> = state.watch({});
  const queue: WatchResponse__Output[] = [];
  let ended: ServiceError | undefined;
  let wake: () => void = () => undefined;
  stream.on('data', (message: WatchResponse__Output) => {
    queue.push(message);
    wake();
  });
  stream.on('error', (error: ServiceError) => {
    ended = error;
    wake();
  });
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise<void>((resolve) => (wake = resolve));
  };
  return {
    stream,
    next: async (): Promise<WatchResponse__Output> => {
      await until(() => queue.length > 0 || ended !== undefined);
      const message = queue.shift();
      if (message === undefined) throw ended ?? new Error('ended');
      return message;
    },
    error: async (): Promise<ServiceError> => {
      await until(() => ended !== undefined);
      return ended!;
    },
  };
}

/** The payload of a compact JWS, unverified. */
export function payloadOf<T>(compact: string): T {
  return JSON.parse(Buffer.from(compact.split('.')[1] ?? '', 'base64url').toString()) as T;
}
