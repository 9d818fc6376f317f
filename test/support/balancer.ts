import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { hostOf, portOf } from './admin-request.ts';

/**
 * A TCP balancer that knows nothing of the mesh, and takes the next backend for each connection. Ends with the test.
 *
 * @returns where it listens, `host:port`.
 */
export async function startBalancer(t: TestContext, backends: () => readonly string[]): Promise<string> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server = createServer((client) => {
    const all = backends();
    const backend = all[turn++ % all.length] ?? '';
    const upstream = connect({ host: hostOf(backend), port: portOf(backend) });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
