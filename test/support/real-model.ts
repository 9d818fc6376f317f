import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import { LoggedProcess } from './child-process.ts';
import type { TestMesh } from './mesh.ts';
import { runAit } from './run-ait.ts';
import { AIT_BINARY } from './test-agent.ts';

/** The inference service itself, as a process beside a test's mesh. */
export class RealModel {
  readonly #mesh: TestMesh;
  readonly #folder: string;
  #process: LoggedProcess | undefined;
  #address = '127.0.0.1:0';

  constructor(mesh: TestMesh) {
    this.#mesh = mesh;
    this.#folder = join(mesh.folder, 'inference');
  }

  /** `host:port`; the same after a restart. */
  get address(): string {
    return this.#address;
  }

  /** @param models what it serves: another list is another measurement. */
  async configure(models: readonly object[], more: object = {}): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const config = {
      state_dir: 'state',
      authority: { join_credential: 'credential' },
      listen: this.#address,
      metrics: { listen: '127.0.0.1:0' },
      models,
      ...more,
    };
    await writeFile(join(this.#folder, 'inference.yaml'), stringify(config));
  }

  /** Approves what the configuration is now, for these agents. */
  async approve(agents: readonly string[]): Promise<void> {
    const named = agents.flatMap((agent) => ['--agent', agent]);
    const flags = ['--config', join(this.#folder, 'inference.yaml'), '--policy', '--accept-simulated-evidence'];
    const { code, output } = await runAit(['inference', 'describe', ...flags, ...named], { deadlineMs: 60_000 });
    if (code !== 0) throw new Error(output);
    const [, ...lines] = output.split('\n');
    await this.#mesh.authority.writePolicy('inference/default', parse(lines.join('\n')) as object);
  }

  async start(): Promise<void> {
    const credential = join(this.#folder, 'credential');
    const options = { method: 'POST', path: '/join-credentials', body: { inference: 'default', uses: 10 } } as const;
    const answer = await askAuthority({ admin: this.#mesh.authority.adminSocket }, options);
    await writeFile(credential, (answer as { credential: string }).credential);
    await chmod(credential, 0o600);
    const config = join(this.#folder, 'inference.yaml');
    this.#process = new LoggedProcess('inference', [AIT_BINARY, 'inference', '--config', config]);
    const ready = await this.#process.waitFor('inference_ready', () => true, { deadlineMs: 30_000 });
    this.#address = ready['listen'] as string;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }
}
