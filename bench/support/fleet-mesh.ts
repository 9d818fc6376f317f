import { join } from 'node:path';
import { Child } from './children.ts';
import type { FleetMember } from './fleet-protocol.ts';
import { BenchMesh, sidecarCommand } from './mesh.ts';

/** The agent that every sidecar of the fleet has a session with; its sidecar is a process of its own. */
export const HUB = 'hub';
/** Everything comes from one address here; outside a benchmark that would be an attack. */
const LIMITS = { unauthenticated: 10_000, unauthenticated_per_address: 10_000 };

/** A mesh of many agents, in which each calls the hub and two others. */
export class FleetMesh extends BenchMesh {
  readonly members: readonly FleetMember[];
  #hubs = 0;
  #revocations = 0;

  constructor(sidecars: number) {
    super();
    this.members = Array.from({ length: sidecars }, (_, index) => {
      const name = `agent-${index}`;
      return { name, config: join(this.agent(name).folder, `${name}.yaml`) };
    });
  }

  async up(): Promise<void> {
    const names = this.members.map(({ name }) => name);
    await this.start([HUB, ...names], Object.fromEntries(names.map((name) => [name, [HUB, ...this.#callees(name)]])));
  }

  /** Writes the configuration of a sidecar whose agent listens at the unix socket `app`. */
  configure({ name }: FleetMember, app: string): void {
    const peers = [HUB, ...this.#callees(name)].map((agent) => {
      return { agent, listen: `unix:${join(this.agent(name).folder, `to-${agent}.sock`)}` };
    });
    this.sidecarConfig(name, { peers, app: { address: `unix:${app}` }, limits: LIMITS });
  }

  /** Starts an instance of the hub. */
  async startHub(app: string): Promise<{ readonly hub: Child; readonly instance: string }> {
    this.#hubs += 1;
    const more = { app: { address: `unix:${app}` }, limits: LIMITS };
    const hub = new Child(sidecarCommand(this.sidecarConfig(HUB, more, `${HUB}-${this.#hubs}`)), this.folder);
    const { instance } = await hub.event('sidecar_ready');
    return { hub, instance: String(instance) };
  }

  /** Revokes an instance; one that nobody knows concerns everybody, since it could be anybody's. */
  revoke(instance?: string): void {
    this.#revocations += 1;
    const id = `revocation-${this.#revocations}`;
    this.writePolicy(id, { kind: 'Revocation', id, instance: instance ?? id, reason: 'a benchmark' });
  }

  #callees(name: string): string[] {
    const { members } = this;
    const index = members.findIndex((member) => member.name === name);
    return [1, 7]
      .map((step) => members[(index + step) % members.length]?.name ?? '')
      .filter((callee) => callee !== name);
  }
}
