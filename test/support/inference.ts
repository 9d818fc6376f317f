import { request as httpsRequest, Agent } from 'node:https';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import OpenAI from 'openai';
import { parse, stringify } from 'yaml';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import { tlsKeyDigest } from '../../src/crypto/evidence.ts';
import { readSvid } from '../../src/crypto/svid.ts';
import { parseSpiffeId } from '../../src/domain/agent-id.ts';
import type { Digest } from '../../src/domain/canonical/digest.ts';
import type { InferenceService } from '../../src/domain/inference/evidence.ts';
import { parseJoinCredential } from '../../src/domain/join-credential.ts';
import { enrollWithCredential } from '../../src/membership/enrollment.ts';
import { joinMesh, tlsMaterialOf } from '../../src/membership/join.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { LoggedProcess, type LogLine } from './child-process.ts';
import { runAit } from './run-ait.ts';
import { AIT_BINARY } from './test-agent.ts';
import { TestAuthority } from './test-authority.ts';

export interface InferenceSpec {
  /** More members of the service's configuration. */
  readonly config?: object;
  /** More members of its policy. */
  readonly policy?: object;
  /** More members of the authority's configuration. */
  readonly authority?: object;
  /** Who may use it; each is registered. Default: planner. */
  readonly agents?: readonly string[];
}

/** What a client shows. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority, and an inference service that it approves, as processes in a temporary directory. */
export class TestInference {
  readonly folder: string;
  readonly authority: TestAuthority;
  readonly #processes: LoggedProcess[] = [];
  #ready: LogLine | undefined;
  #roots = '';

  constructor(folder: string, authority: object = {}) {
    this.folder = folder;
    this.authority = new TestAuthority(join(folder, 'authority'), authority);
  }

  get configPath(): string {
    return join(this.folder, 'inference.yaml');
  }

  get process(): LoggedProcess {
    const process = this.#processes.at(-1);
    if (process === undefined) throw new Error('the inference service was not started');
    return process;
  }

  /** `host:port`. */
  get address(): string {
    return this.#said('listen');
  }

  get metricsAddress(): string {
    return this.#said('metrics_listen');
  }

  get measurement(): Digest {
    return this.#said('measurement') as Digest;
  }

  /** What policy approves of it, simulated evidence included. */
  get approved(): InferenceService {
    return {
      id: parseSpiffeId('spiffe://acme.example/inference/default'),
      agents: [parseSpiffeId('spiffe://acme.example/agent/planner')],
      measurements: [this.measurement],
      evidenceRoots: [this.#said('evidence_root') as Digest],
      acceptSimulatedEvidence: true,
    };
  }

  #said(name: string): string {
    const value = this.#ready?.[name];
    if (typeof value !== 'string') throw new Error('the inference service is not ready');
    return value;
  }

  /** Writes the configuration; nothing runs yet. */
  async configure(config: object = {}): Promise<void> {
    await writeFile(
      this.configPath,
      stringify({
        state_dir: 'inference-state',
        authority: { join_credential: 'inference.credential' },
        listen: '127.0.0.1:0',
        metrics: { listen: '127.0.0.1:0' },
        models: [
          { id: 'sim-small', version: '1' },
          { id: 'sim-large', version: '2', owned_by: 'acme' },
        ],
        ...config,
      }),
    );
  }

  /** What `ait inference describe --policy` prints, with more members over it. */
  async policy(agents: readonly string[], more: object = {}): Promise<object> {
    const named = agents.flatMap((agent) => ['--agent', agent]);
    const flags = ['--config', this.configPath, '--policy', '--accept-simulated-evidence', ...named];
    const { code, output } = await runAit(['inference', 'describe', ...flags]);
    if (code !== 0) throw new Error(output);
    const [, ...lines] = output.split('\n');
    return { ...(parse(lines.join('\n')) as object), ...more };
  }

  async startService(): Promise<void> {
    const options = { method: 'POST', path: '/join-credentials', body: { inference: 'default', uses: 10 } } as const;
    const answer = await askAuthority({ admin: this.authority.adminSocket }, options);
    const path = join(this.folder, 'inference.credential');
    await writeFile(path, (answer as { credential: string }).credential);
    await chmod(path, 0o600);
    this.#processes.push(new LoggedProcess('inference', [AIT_BINARY, 'inference', '--config', this.configPath]));
    this.#ready = await this.process.waitFor('inference_ready');
  }

  /** Joins as an agent does, and keeps what it got. */
  async joinAgent(agent = 'planner'): Promise<ClientCertificate> {
    const credential = parseJoinCredential(await this.authority.credential(agent));
    const membership = await joinMesh({
      enrollment: enrollWithCredential(credential),
      address: this.authority.address,
      clock: systemClock,
      handshakeTimeoutMs: 3_000,
    });
    this.#roots = membership.bundle.roots.join('');
    const { certPem, keyPem } = tlsMaterialOf(membership);
    return { cert: certPem, key: keyPem };
  }

  /** Connections of one client; close it with `destroy()`. Without a certificate: those of a stranger. */
  connections(certificate?: ClientCertificate, keepAlive = true): Agent {
    return new Agent({
      ...certificate,
      ca: this.#roots,
      keepAlive,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      checkServerIdentity: () => undefined,
      maxCachedSessions: 0,
    });
  }

  /** One request. */
  async ask(
    connections: Agent,
    path: string,
    { method = 'GET', body, signal }: { method?: string; body?: string | Buffer; signal?: AbortSignal } = {},
  ): Promise<{ status: number; headers: Headers; json: unknown; tlsKey: Digest }> {
    const { response, socket } = await this.#send(connections, { path, method, body, headers: {}, signal });
    const tlsKey = tlsKeyDigest(readSvid(socket.getPeerCertificate(false).raw).publicKey);
    return { status: response.status, headers: response.headers, json: await response.json(), tlsKey };
  }

  /** The official client, over connections of ours. */
  openai(connections: Agent): OpenAI {
    return new OpenAI({
      apiKey: 'none',
      baseURL: `https://${this.address}/v1`,
      maxRetries: 0,
      fetch: async (url, init) => {
        const { pathname } = new URL(url instanceof Request ? url.url : url);
        const headers = Object.fromEntries(new Headers(init?.headers as Record<string, string>));
        const method = init?.method ?? 'GET';
        const body = init?.body === undefined || init.body === null ? undefined : (init.body as string);
        const sent = await this.#send(connections, { path: pathname, method, body, headers, signal: init?.signal });
        return sent.response;
      },
    });
  }

  #send(
    connections: Agent,
    parts: {
      path: string;
      method: string;
      body: string | Buffer | undefined;
      headers: Record<string, string>;
      signal: AbortSignal | null | undefined;
    },
  ): Promise<{ response: Response; socket: TLSSocket }> {
    const { path, method, body, headers, signal } = parts;
    return new Promise((resolve, reject) => {
      const request = httpsRequest(
        `https://${this.address}${path}`,
        { agent: connections, method, headers, ...(signal && { signal }) },
        (incoming) => {
          const responseHeaders = new Headers(incoming.headers as Record<string, string>);
          const web = Readable.toWeb(incoming) as ReadableStream<Uint8Array>;
          const response = new Response(web, { status: incoming.statusCode ?? 0, headers: responseHeaders });
          resolve({ response, socket: incoming.socket as TLSSocket });
        },
      );
      request.once('error', reject);
      request.end(body);
    });
  }

  async metric(name: string): Promise<readonly string[]> {
    const text = await (await fetch(`http://${this.metricsAddress}/metrics`)).text();
    return text.split('\n').filter((line) => line.startsWith(name));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes, ...this.authority.processes].map((process) => process.stop()));
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Starts an authority and the service; both end with the test. */
export async function startInference(t: TestContext, spec: InferenceSpec = {}): Promise<TestInference> {
  const { agents = ['planner'], config, policy, authority } = spec;
  const mesh = new TestInference(await mkdtemp(join(tmpdir(), 'ait-inference-')), authority);
  t.after(() => mesh.stop());
  await mesh.configure(config);
  for (const id of agents) {
    await mesh.authority.writePolicy(`agents/${id}`, {
      kind: 'Agent',
      id,
      lifecycle: 'active',
      sponsor: { id: 'u-1', name: 'Ada Lovelace', email: 'ada@acme.example' },
    });
  }
  await mesh.authority.writePolicy('inference', await mesh.policy(agents, policy));
  await mesh.authority.start();
  await mesh.startService();
  return mesh;
}
