import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * The application behind a sidecar: a TCP server in the test's own process that echoes, and remembers every byte, so
 * that a test can say that none arrived.
 */
export class TestApp {
  readonly #server: Server;
  readonly sockets = new Set<Socket>();
  readonly #chunks: Buffer[] = [];
  /** How many connections were ever opened to it. */
  connections = 0;

  private constructor({ echo, remember }: { echo: boolean; remember: boolean }) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.connections += 1;
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.sockets.delete(socket));
      socket.on('data', (chunk) => {
        if (remember) this.#chunks.push(chunk);
        if (echo) socket.write(chunk);
      });
      socket.once('end', () => socket.end());
    });
  }

  /** @param options `remember: false` for one that runs long. */
  static async start({ echo = true, remember = true } = {}): Promise<TestApp> {
    const app = new TestApp({ echo, remember });
    await new Promise<void>((resolve) => app.#server.listen(0, '127.0.0.1', resolve));
    return app;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Everything that was ever received, on any connection. */
  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
