import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * The application behind a sidecar: a TCP server in the test's own process that echoes, and remembers every byte, so
 * that a test can say that none arrived.
 */
export class TestApp {
  readonly #server: Server;
  readonly sockets = new Set<Socket>();
  readonly #chunks: Buffer[] = [];
  /** How many connections were ever opened to it, the looks of its sidecar among them. */
  opened = 0;
  /** Opened and closed without a byte: its sidecar looks in that way whether anybody listens. */
  #lookedIn = 0;

  private constructor({ echo, remember }: { echo: boolean; remember: boolean }) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.opened += 1;
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.sockets.delete(socket);
        if (socket.bytesRead === 0 && socket.bytesWritten === 0) this.#lookedIn += 1;
      });
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

  /** How many connections were ever opened to it, those left out that closed without a byte. */
  get connections(): number {
    return this.opened - this.#lookedIn;
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
