import { join } from 'node:path';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import type { LogLine } from './child-process.ts';
import type { TestMesh } from './mesh.ts';
import type { TestAgent } from './test-agent.ts';

export type Kind = 'root' | 'ait' | 'state';

/** One key as `GET /keys` shows it. */
export interface ShownKey {
  readonly kind: Kind;
  readonly id: string;
  readonly phase: string;
  readonly next_change_at: string | null;
}

const target = (mesh: TestMesh) => ({ admin: join(mesh.authority.stateDir, 'admin.sock') });

export async function shownKeys(mesh: TestMesh): Promise<readonly ShownKey[]> {
  const answer = await askAuthority(target(mesh), { method: 'GET', path: '/keys' });
  return (answer as { keys: readonly ShownKey[] }).keys;
}

export async function rotateKey(mesh: TestMesh, kind: Kind, { compromised = false } = {}): Promise<void> {
  await askAuthority(target(mesh), { method: 'POST', path: '/keys/rotate', body: { kind, compromised } });
}

/** Until a key of this kind has entered the phase. */
export function keyPhase(
  mesh: TestMesh,
  kind: Kind,
  phase: string,
  { from = 0, deadlineMs = 60_000 } = {},
): Promise<LogLine> {
  const matches = (line: LogLine) => line['kind'] === kind && line['phase'] === phase;
  return mesh.authority.process.waitFor('key_phase_changed', matches, { from, deadlineMs });
}

/** Calls again and again until it is told to stop, with a connection of its own each time. */
export class Traffic {
  #on = true;
  readonly #done: Promise<void>;
  calls = 0;

  constructor(caller: TestAgent, peer: string) {
    this.#done = this.#run(caller, peer);
    // Told by `stop`; until then nobody waits for it.
    this.#done.catch(() => undefined);
  }

  /** @throws Error of the first call that failed */
  async stop(): Promise<void> {
    this.#on = false;
    await this.#done;
  }

  async #run(caller: TestAgent, peer: string): Promise<void> {
    while (this.#on) {
      const answer = await caller.call(peer, 'ping').catch((cause: unknown) => {
        throw new Error(`call ${this.calls} failed\n${caller.sidecar.tail(20)}`, { cause });
      });
      if (answer !== 'ping') throw new Error(`call ${this.calls} was answered with ${answer}`);
      this.calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
