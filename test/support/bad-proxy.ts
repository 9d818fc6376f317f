import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { hostOf, portOf } from './admin-request.ts';

/** What happens to a new connection; `undefined`: it is passed on as it is. */
export type Misbehaviour = ((client: Socket) => void) | undefined;

/** A TCP proxy that a test can turn into a bad network, or into somebody else, at any time. */
export class BadProxy {
  /** Counts from the next connection on; see {@link cut} for those that are open. */
  misbehave: Misbehaviour;
  /** How long each chunk is held back, in ms. */
  delayMs = 0;
  readonly #target: () => string;
  readonly #sockets = new Set<Socket>();
  #address = '';

  private constructor(target: () => string) {
    this.#target = target;
  }

  static async start(t: TestContext, target: () => string): Promise<BadProxy> {
    const proxy = new BadProxy(target);
    const server: Server = createServer((client) => proxy.#take(client));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy.#address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.after(async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      proxy.cut();
      await closed;
    });
    return proxy;
  }

  get address(): string {
    return this.#address;
  }

  /** Ends all that is open, as a broken network does. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #take(client: Socket): void {
    this.#keep(client);
    if (this.misbehave !== undefined) {
      this.misbehave(client);
      return;
    }
    const server = connect({ host: hostOf(this.#target()), port: portOf(this.#target()) });
    this.#keep(server);
    this.#pass(client, server);
    this.#pass(server, client);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #pass(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      const write = (): void => void (to.writable && to.write(chunk));
      if (this.delayMs === 0) write();
      else setTimeout(write, this.delayMs);
    });
    from.once('close', () => to.destroy());
  }
}
