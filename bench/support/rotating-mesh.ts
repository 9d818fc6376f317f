import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentFiles } from '../../test/support/agent-files.ts';
import type { LoggedProcess } from '../../test/support/child-process.ts';
import { TestMesh } from '../../test/support/mesh.ts';
import { Pod, type PodSpec } from '../../test/support/pod.ts';
import { TestAuthority } from '../../test/support/test-authority.ts';
import { temporaryFolder } from './children.ts';

const PROBE = fileURLToPath(new URL('heap-probe.mjs', import.meta.url));
const NODE_OPTIONS = ['--import', PROBE];
const EVERY_MS = 100;
const PROBE_DEADLINE_MS = 60_000;
const MB = 1024 * 1024;

/** What of a process's memory is in use, in MB: after all garbage was collected, and what the system counts. */
export interface HeapReading {
  readonly heapMb: number;
  readonly externalMb: number;
  readonly residentMb: number;
}

/** Two agents that call each other for as long as the mesh lives; all that happens to it is that certificates rotate. */
const PODS: Readonly<Record<string, PodSpec>> = {
  grpc: { speaks: 'grpc', everyMs: EVERY_MS, calls: [{ callee: 'bytes', kind: 'stream' }] },
  bytes: { speaks: 'bytes', everyMs: EVERY_MS, calls: [{ callee: 'grpc', kind: 'grpc' }] },
};

/** An authority and two sidecars as real processes that tell what memory they hold. */
export class RotatingMesh {
  readonly #mesh: TestMesh;
  readonly #pods: readonly Pod[];

  private constructor(mesh: TestMesh, pods: readonly Pod[]) {
    this.#mesh = mesh;
    this.#pods = pods;
  }

  /** @param lifeSeconds life of a certificate; each is renewed at about half of it. */
  static async start(lifeSeconds: number): Promise<RotatingMesh> {
    const folder = temporaryFolder();
    const config = { svid_lifetime: `${lifeSeconds}s`, outage_tolerance: '2m' };
    const mesh = new TestMesh(folder, new TestAuthority(join(folder, 'authority'), config));
    mesh.authority.nodeOptions = NODE_OPTIONS;
    const calleesOf = ({ calls }: PodSpec) => calls.map(({ callee }) => callee);
    for (const [name, spec] of Object.entries(PODS)) await mesh.register(name, { calls: calleesOf(spec) });
    await mesh.authority.start();
    const pods: Pod[] = [];
    for (const [name, spec] of Object.entries(PODS)) {
      const files = new AgentFiles(join(folder, `${name}-files`));
      await files.create(name);
      const agentSpec = { calls: calleesOf(spec), start: false };
      const agent = await mesh.addInstance(name, { agent: name, files, spec: agentSpec });
      agent.nodeOptions = NODE_OPTIONS;
      const credential = await mesh.authority.credential(name, { uses: 1000, expires: '24h' });
      await writeFile(join(agent.folder, 'credential'), credential, { mode: 0o600 });
      pods.push(new Pod(agent, spec));
    }
    for (const pod of pods) await pod.start();
    await Promise.all(pods.map((pod) => pod.beginCalls()));
    return new RotatingMesh(mesh, pods);
  }

  /** By the name under which they are reported. */
  get processes(): ReadonlyMap<string, LoggedProcess> {
    const sidecars = this.#pods.map(({ name, agent }) => [`sidecar of ${name}`, agent.sidecar] as const);
    return new Map([['authority', this.#mesh.authority.process], ...sidecars]);
  }

  /** How many rotations there were so far, and of how many sessions. */
  rotations(): { readonly certificates: number; readonly sessions: number } {
    const count = (event: string) =>
      this.#pods.reduce((sum, { agent }) => sum + agent.sidecar.lines.filter((line) => line.event === event).length, 0);
    return { certificates: count('svid_renewed'), sessions: count('session_continued') };
  }

  /** Calls that failed, sessions that ended: nothing of the kind may happen here. */
  mishaps(): { readonly failedCalls: number; readonly endedSessions: number } {
    const failedCalls = this.#pods.flatMap(({ callers }) => callers.flatMap(({ failed }) => failed)).length;
    const endedSessions = this.#pods.flatMap(({ agent }) =>
      agent.sidecar.lines.filter(({ event }) => event === 'session_terminated'),
    ).length;
    return { failedCalls, endedSessions };
  }

  async end(): Promise<void> {
    await Promise.all(this.#pods.map((pod) => pod.end()));
    await this.#mesh.end();
  }
}

/** Has a process collect its garbage, and tells what is left. */
export async function readHeap(process: LoggedProcess): Promise<HeapReading> {
  const from = process.mark();
  process.signal('SIGUSR2');
  const line = await process.waitFor('heap_probe', () => true, { from, deadlineMs: PROBE_DEADLINE_MS });
  const { heapUsed, external, rss } = line as unknown as { heapUsed: number; external: number; rss: number };
  return { heapMb: heapUsed / MB, externalMb: external / MB, residentMb: rss / MB };
}
