import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import { writeFileAtomic } from '../../src/platform/atomic-file.ts';
import { LoggedProcess } from './child-process.ts';
import { AIT_BINARY } from './test-agent.ts';

export const TRUST_DOMAIN = 'acme.example';

/** The keys that make an authority one. A test that holds them can forge what only a compromised authority could. */
export interface AuthorityKeys {
  readonly root_certificate: string;
  readonly root_key: string;
  readonly ait_key: string;
  readonly state_key: string;
}

interface StoredKeys {
  readonly keys: readonly {
    readonly kind: string;
    readonly phase: string;
    readonly key: string;
    readonly certificate?: string;
  }[];
}

/** The authority of a test's mesh, a process of its own. */
export class TestAuthority {
  readonly folder: string;
  readonly policyDir: string;
  readonly stateDir: string;
  readonly #config: object;
  readonly processes: LoggedProcess[] = [];
  /** Arguments for Node.js from the next start on, such as another clock. */
  nodeOptions: readonly string[] = [];
  #address: string | undefined;
  #operatorsAddress: string | undefined;

  constructor(folder: string, config: object = {}) {
    this.folder = folder;
    this.policyDir = join(folder, 'policy');
    this.stateDir = join(folder, 'state');
    this.#config = config;
  }

  get process(): LoggedProcess {
    const process = this.processes.at(-1);
    if (process === undefined) throw new Error('the authority was not started');
    return process;
  }

  /** `host:port`; the same after a restart. */
  get address(): string {
    return this.#address ?? '127.0.0.1:0';
  }

  /** Where operators come in, `host:port`; the same after a restart. */
  get operatorsAddress(): string {
    return this.#operatorsAddress ?? '127.0.0.1:0';
  }

  get adminSocket(): string {
    return join(this.stateDir, 'admin.sock');
  }

  /** @param changes members of the configuration that are others from this start on. */
  async start(changes: object = {}): Promise<void> {
    const path = join(this.folder, 'authority.yaml');
    const config = {
      trust_domain: TRUST_DOMAIN,
      listen: this.address,
      operators_listen: this.operatorsAddress,
      metrics_listen: '127.0.0.1:0',
      state_dir: this.stateDir,
      policy_dir: this.policyDir,
      // In a mesh of three agents every change is a large one; tests of the brake set a limit.
      impact_limit: 100,
      ...this.#config,
      ...changes,
    };
    await mkdir(this.policyDir, { recursive: true });
    await writeFile(path, stringify(config));
    this.processes.push(
      new LoggedProcess('authority', [...this.nodeOptions, AIT_BINARY, 'authority', '--config', path]),
    );
    const ready = await this.process.waitFor('authority_ready');
    this.#address = ready['listen'] as string;
    this.#operatorsAddress = ready['operators_listen'] as string;
  }

  /** Puts a document into the policy directory; a text as it is, an object as YAML. */
  /** Whole at one moment: what half a file does is for those tests to show that write one. */
  async writePolicy(name: string, document: string | object): Promise<void> {
    const path = join(this.policyDir, `${name}.yaml`);
    await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(path, typeof document === 'string' ? document : stringify(document), { mode: 0o644 });
  }

  async removePolicy(name: string): Promise<void> {
    await rm(join(this.policyDir, `${name}.yaml`));
  }

  /** A join credential in its text form. Default: 10 uses, 1 hour. */
  async credential(
    agent: string,
    options: { readonly uses?: number; readonly expires?: string } = {},
  ): Promise<string> {
    const { uses = 10, expires = '1h' } = options;
    const answer = await askAuthority(
      { admin: this.adminSocket },
      { method: 'POST', path: '/join-credentials', body: { agent, uses, expires } },
    );
    return (answer as { credential: string }).credential;
  }

  /** Reads the keys that are active out of the authority's state, which only this user may. */
  async keys(): Promise<AuthorityKeys> {
    const [, ...body] = (await readFile(join(this.stateDir, 'state.json'), 'utf8')).split('\n');
    const collections = JSON.parse(body.join('\n')) as [string, [string, StoredKeys][]][];
    const stored = collections.find(([name]) => name === 'authority_keys')?.[1][0]?.[1].keys ?? [];
    const active = (kind: string) => {
      const found = stored.find((key) => key.kind === kind && key.phase === 'active');
      if (found === undefined) throw new Error(`the authority has no ${kind} key`);
      return found;
    };
    return {
      root_certificate: active('root').certificate ?? '',
      root_key: active('root').key,
      ait_key: active('ait').key,
      state_key: active('state').key,
    };
  }
}
