import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface PortChoice {
  readonly host: string;
  readonly port: number;
  /** The port on 127.0.0.1 to connect from; default: one that the system chooses. */
  readonly localPort?: number;
}

/**
 * Opens a TCP connection from 127.0.0.1 and from a chosen port. Two of them may share that port when they go to different
 * addresses; a server that listens on all of its addresses then sees the same remote address twice.
 */
export function openFrom(t: TestContext, { host, port, localPort = 0 }: PortChoice): Socket {
  // A chosen local address makes the system allow that its port is used again.
  const socket = connect({ host, port, localAddress: '127.0.0.1', localPort });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  return socket;
}

/** As {@link openFrom}, and waits for the connection. @throws Error when there is none */
export async function connectFrom(t: TestContext, choice: PortChoice): Promise<Socket> {
  const socket = openFrom(t, choice);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}
