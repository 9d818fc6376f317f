import type { TestContext } from 'node:test';
import { startMesh } from './mesh.ts';

/**
 * Two sidecars, each a process of its own, in front of a server that the test runs itself.
 *
 * @param address of the server, `host:port`.
 * @returns path of the unix socket where the server's agent is called.
 */
export async function meshBefore(t: TestContext, address: string): Promise<string> {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: { app: false, config: { app: { address } } } },
  });
  return mesh.agent('planner').socketTo('researcher');
}
