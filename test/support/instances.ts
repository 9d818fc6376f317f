import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { AgentFiles } from './agent-files.ts';
import { awaitAddress, startMesh, type AgentSpec, type TestMesh } from './mesh.ts';
import type { TestAgent } from './test-agent.ts';

/** An agent that echoes on a unix socket, and can be away for a while without losing its address. */
class EchoApp {
  readonly #path: string;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  /** Connections that brought a byte: the sidecar's looks bring none. */
  served = 0;

  constructor(path: string) {
    this.#path = path;
  }

  get address(): string {
    return `unix:${this.#path}`;
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.once('data', () => (this.served += 1));
      socket.on('data', (chunk) => socket.write(chunk));
    });
    await rm(this.#path, { force: true });
    await new Promise<void>((resolve) => server.listen(this.#path, resolve));
    this.#server = server;
  }

  /** Nobody listens any more; what is open is closed. */
  async leave(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) =>
      this.#server === undefined ? resolve() : this.#server.close(() => resolve()),
    );
    this.#server = undefined;
  }
}

/** One instance of the called agent. */
export interface Instance {
  readonly agent: TestAgent;
  readonly app: EchoApp;
}

/**
 * A planner that calls a researcher of which there are several instances, each with files of its own; the planner knows
 * all of them from the authority. `planner`: more of its specification.
 */
export async function meshOfInstances(
  t: TestContext,
  { names, planner = {} }: { readonly names: readonly string[]; readonly planner?: AgentSpec },
): Promise<{ readonly mesh: TestMesh; readonly planner: TestAgent; readonly instances: readonly Instance[] }> {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], ...planner }, researcher: { start: false, app: false } },
  });
  const instances = await Promise.all(
    names.map(async (name) => {
      const files = new AgentFiles(`${mesh.folder}/${name}`);
      await files.create('researcher');
      const app = new EchoApp(`${mesh.folder}/${name}/app.sock`);
      await app.listen();
      t.after(() => app.leave());
      const spec = { config: { app: { address: app.address } } };
      return { agent: await mesh.addInstance(name, { agent: 'researcher', files, spec }), app };
    }),
  );
  for (const { agent } of instances) await awaitAddress(mesh.agent('planner'), agent.inbound);
  return { mesh, planner: mesh.agent('planner'), instances };
}
