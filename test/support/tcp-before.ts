import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { TestContext } from 'node:test';

/**
 * A loopback port that leads to a unix socket, for programs that know no unix sockets.
 *
 * @returns `host:port`.
 */
export async function tcpBefore(t: TestContext, socketPath: string): Promise<string> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const onward = connect({ path: socketPath, allowHalfOpen: true });
    for (const [from, to] of [
      [client, onward],
      [onward, client],
    ] as const) {
      open.add(from);
      from.once('close', () => open.delete(from));
      // Who breaks off takes the other side along; the programs at the ends say what they saw.
      pipeline(from, to, () => undefined);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
