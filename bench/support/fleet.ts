import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleProgram } from './bundle.ts';
import { Child, cpuMs } from './children.ts';
import type { FleetCounts, FleetMember, FleetQuestion, FleetTimes, Sight } from './fleet-protocol.ts';
import { HUB, type FleetMesh } from './fleet-mesh.ts';

const PATIENCE_MS = 120_000;

/** All sidecars of the benchmark, spread over a few processes. */
export class Fleet {
  readonly size: number;
  readonly #workers: readonly {
    readonly child: Child;
    readonly members: readonly FleetMember[];
    readonly app: string;
  }[];

  constructor(mesh: FleetMesh, { sidecars, processes }: { sidecars: number; processes: number }) {
    this.size = sidecars;
    const worker = bundleProgram(fileURLToPath(new URL('fleet-worker.ts', import.meta.url)), mesh.folder);
    const flags = process.env['BENCH_SIDECAR_NODE_FLAGS']?.split(' ') ?? [];
    const command: [string, ...string[]] = [process.execPath, ...flags, worker];
    this.#workers = Array.from({ length: processes }, (_, index) => {
      const app = join(mesh.folder, `app-${index}.sock`);
      const members = mesh.members.filter((_member, position) => position % processes === index);
      for (const member of members) mesh.configure(member, app);
      return { child: new Child(command, mesh.folder), members, app };
    });
  }

  /** Starts all at once. @returns when each was ready. */
  async start(): Promise<number[]> {
    // A process that has loaded its code answers: what is measured is the fleet, not its loading.
    await this.counts();
    const answers = await Promise.all(
      this.#workers.map(({ child, members, app }) => ask<FleetTimes>(child, { ask: 'start', members, app })),
    );
    return answers.flatMap(({ at }) => at);
  }

  /** Opens a connection of each sidecar to its peers, or to the hub, and keeps it. */
  async connect(to: 'peers' | typeof HUB): Promise<void> {
    await this.#ask({ ask: 'connect', peers: to === HUB ? [0] : [1, 2] });
  }

  async reset(): Promise<void> {
    await this.#ask({ ask: 'reset' });
  }

  /** When each sidecar did it. @throws Error when one did not in time */
  async all(sight: Sight, withinMs = 60_000): Promise<number[]> {
    const at = (await this.#ask<FleetTimes>({ ask: 'await', sight, withinMs })).flatMap((times) => times.at);
    if (at.length === this.size) return at;
    const { errors } = await this.counts();
    throw new Error(`only ${at.length} of ${this.size} sidecars: ${sight}\n${errors.slice(0, 5).join('\n')}`);
  }

  async counts(): Promise<FleetCounts> {
    const all = await this.#ask<FleetCounts>({ ask: 'count' });
    const ended: Record<string, number> = {};
    for (const [code, count] of all.flatMap((one) => Object.entries(one.ended)))
      ended[code] = (ended[code] ?? 0) + count;
    const sum = (of: (one: FleetCounts) => number) => all.reduce((total, one) => total + of(one), 0);
    return {
      liveSessions: sum(({ liveSessions }) => liveSessions),
      ended,
      watchesBroken: all.flatMap(({ watchesBroken }) => watchesBroken),
      joins: sum(({ joins }) => joins),
      errors: all.flatMap(({ errors }) => errors),
      rssMb: sum(({ rssMb }) => rssMb),
    };
  }

  /** CPU of all its processes so far, ms. */
  cpuMs(): number {
    return this.#workers.reduce((sum, { child }) => sum + cpuMs(child.pid), 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map(({ child }) => child.stop()));
  }

  #ask<A extends object>(question: FleetQuestion): Promise<A[]> {
    return Promise.all(this.#workers.map(({ child }) => ask<A>(child, question)));
  }
}

async function ask<A extends object>(child: Child, question: FleetQuestion): Promise<A> {
  return (await child.ask(question, question.ask, PATIENCE_MS)) as unknown as A;
}
