import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import { parseJoinCredential } from '../../src/domain/join-credential.ts';
import { enrollWithCredential } from '../../src/membership/enrollment.ts';
import { joinMesh, tlsMaterialOf } from '../../src/membership/join.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { Child } from './children.ts';
import { aitCommand, BenchMesh, sidecarCommand } from './mesh.ts';
import type { ModelTarget } from './model-stream.ts';

const CALLER = 'caller';
const MODEL = { id: 'bench-large', version: '2026-01' };

/** Somebody to stream from, in a process of its own. */
export interface Measured {
  readonly target: ModelTarget;
  readonly pid: number;
}

/** An agent that may call the simulated service, straight or through its sidecar. */
export class InferenceMesh extends BenchMesh {
  readonly #children: Child[] = [];
  #service = '';

  /** Starts the authority and the service. */
  async up(): Promise<void> {
    await this.start([CALLER], {});
    const config = join(this.folder, 'inference.yaml');
    const credential = join(this.folder, 'inference.credential');
    writeFileSync(
      config,
      stringify({
        state_dir: 'inference-state',
        authority: { join_credential: credential },
        listen: '127.0.0.1:0',
        metrics: { listen: '127.0.0.1:0' },
        models: [MODEL],
      }),
    );
    const describe = ['inference', 'describe', '--config', config, '--policy', '--accept-simulated-evidence'];
    const [program, ...args] = aitCommand([...describe, '--agent', CALLER]);
    const applied = this.authority.event('policy_applied');
    this.writePolicy('inference', (await promisify(execFile)(program, args)).stdout);
    await applied;
    const question = { method: 'POST', path: '/join-credentials', body: { inference: 'default', uses: 1 } } as const;
    const answer = await askAuthority({ admin: this.adminSocket }, question);
    writeFileSync(credential, (answer as { credential: string }).credential, { mode: 0o600 });
    const { ready } = await this.#run(aitCommand(['inference', '--config', config]), 'inference_ready');
    this.#service = String(ready['listen']);
  }

  /** The call that is approved, as every agent makes it. */
  get call(): object {
    const content = readFileSync(this.agent(CALLER).prompt, 'utf8');
    return { model: MODEL.id, messages: [{ role: 'system', content }, { role: 'user', content: 'Say something.' }] }; // prettier-ignore
  }

  /** The service, as a client reaches it that holds a certificate of the agent itself. */
  async direct(): Promise<ModelTarget> {
    const credential = parseJoinCredential(readFileSync(this.agent(CALLER).credential, 'utf8'));
    const enrollment = enrollWithCredential(credential);
    const { authority: address } = credential;
    const membership = await joinMesh({ enrollment, address, clock: systemClock, handshakeTimeoutMs: 3000 });
    const { certPem: cert, keyPem: key } = tlsMaterialOf(membership);
    const ca = [...membership.bundle.roots];
    // Whom it is, is what a sidecar checks; what is compared here is the time.
    const checkServerIdentity = () => undefined;
    const tls = { cert, key, ca, minVersion: 'TLSv1.3', ALPNProtocols: ['http/1.1'], checkServerIdentity } as const;
    const connections = new TlsAgent({ ...tls, keepAlive: true });
    return { baseUrl: `https://${this.#service}/v1`, connections };
  }

  /** A sidecar before the service. */
  sidecarToService(): Promise<Measured> {
    return this.#sidecar('to-service', { service: { address: this.#service } });
  }

  /** A sidecar before another server, without TLS. */
  sidecarTo(baseUrl: string): Promise<Measured> {
    return this.#sidecar('to-provider', { provider: { insecure_base_url: baseUrl } });
  }

  /** A server that says in each chunk when it was written. */
  stampingModel(paceMs: number): Promise<Measured> {
    return this.#helper('stamping-model.ts', String(paceMs));
  }

  /** A proxy that checks nothing, before that server. */
  bareProxyTo(baseUrl: string): Promise<Measured> {
    return this.#helper('bare-proxy.ts', baseUrl);
  }

  override async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
    await super.stop();
  }

  /** One of the small servers beside this file. */
  async #helper(script: string, argument: string): Promise<Measured> {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const command = [process.execPath, '--import', import.meta.resolve('tsx'), path, argument] as const;
    const { child, ready } = await this.#run([...command], 'listening');
    const target = { baseUrl: String(ready['baseUrl']), connections: new Agent({ keepAlive: true }) };
    return { target, pid: child.pid };
  }

  async #sidecar(instance: string, section: object): Promise<Measured> {
    const config = this.sidecarConfig(CALLER, { inference: { listen: '127.0.0.1:0', ...section } }, instance);
    const { child, ready } = await this.#run(sidecarCommand(config), 'sidecar_ready');
    const target = { baseUrl: `http://${String(ready['inference'])}/v1`, connections: new Agent({ keepAlive: true }) };
    return { target, pid: child.pid };
  }

  async #run(command: [string, ...string[]], event: string) {
    const child = new Child(command, this.folder);
    this.#children.push(child);
    return { child, ready: await child.event(event) };
  }
}
