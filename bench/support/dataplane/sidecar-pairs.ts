import { fileURLToPath } from 'node:url';
import { Child } from '../children.ts';
import { type BenchMesh, peerListen, sidecarCommand } from '../mesh.ts';
import type { ProxyPair } from '../proxies.ts';
import { CALLS_GRANT, findFeatures, type Features } from './features.ts';

const PROBE = fileURLToPath(new URL('../heap-probe.mjs', import.meta.url));

export interface SidecarPair extends ProxyPair {
  /** The caller's sidecar first. */
  readonly sidecars: readonly [Child, Child];
}

export interface SidecarPairOptions {
  readonly name: string;
  /** Where the callee listens. */
  readonly backend: number;
  /** One line a call. */
  readonly accessLog?: boolean;
  /** Can be asked what memory is in use; not for measuring time. */
  readonly probed?: boolean;
}

/** Pairs of real sidecars, as users start them, of one real authority. */
export class SidecarPairs {
  readonly features: Features = findFeatures();
  readonly #mesh: BenchMesh;
  #started = 0;

  private constructor(mesh: BenchMesh) {
    this.#mesh = mesh;
  }

  /** Starts the authority. */
  static async start(mesh: BenchMesh): Promise<SidecarPairs> {
    const pairs = new SidecarPairs(mesh);
    const { callGrants } = pairs.features;
    await mesh.start(['caller', 'callee'], callGrants ? {} : { caller: ['callee'] });
    if (callGrants) {
      const applied = mesh.authority.event('policy_applied');
      mesh.writePolicy('caller-grant', CALLS_GRANT);
      await applied;
    }
    return pairs;
  }

  /** Two more sidecars, instances of the same two agents, who know each other's address. */
  async pair({ name, backend, accessLog, probed }: SidecarPairOptions): Promise<SidecarPair> {
    this.#started += 1;
    const start = async (agent: string, section: object) => {
      const log = accessLog === true ? { access_log: true } : {};
      const config = this.#mesh.sidecarConfig(agent, { ...section, ...log }, `${agent}-${this.#started}`);
      const child = new Child(sidecarCommand(config, probed === true ? ['--import', PROBE] : []), this.#mesh.folder);
      return { child, ready: await child.event('sidecar_ready') };
    };
    const callee = await start('callee', { app: { address: `127.0.0.1:${backend}` } });
    const inbound = String(callee.ready['inbound']);
    const caller = await start('caller', { peers: [{ agent: 'callee', listen: '127.0.0.1:0', address: inbound }] });
    return {
      name,
      port: portOf(peerListen(caller.ready, 'callee')),
      between: portOf(inbound),
      pids: [caller.child.pid, callee.child.pid],
      sidecars: [caller.child, callee.child],
      stop: async () => void (await Promise.all([caller.child.stop(), callee.child.stop()])),
    };
  }

  stop(): Promise<void> {
    return this.#mesh.stop();
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
