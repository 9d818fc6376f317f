import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type NetConnectOpts, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { readStrictly, valuesOf, type StrictMessage } from './strict-http1.ts';
import { within } from './within.ts';

/** One request as the callee got it. */
export interface TakenRequest extends StrictMessage {
  readonly socket: Socket;
  /** Which of the server's connections it came on, from 0. */
  readonly connection: number;
}

/** A callee that reads requests strictly and answers with the bytes that a test wants. */
export class RawHttp1Server {
  readonly taken: TakenRequest[] = [];
  /** What came on each connection, in order. */
  readonly received: Buffer[] = [];
  readonly sockets: Socket[] = [];
  /** Why bytes could not be read strictly: a test that expects none looks here. */
  readonly problems: Error[] = [];
  /** Answers one request. Default: 200, `ok`, and the connection stays. */
  onRequest: (request: TakenRequest) => void = ({ socket }) => socket.write(OK);
  /** Is told of a head before its body. Default: nothing happens. */
  onHead: (head: string, socket: Socket) => void = () => undefined;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  static async start(t: TestContext): Promise<RawHttp1Server> {
    const server = new RawHttp1Server();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    t.after(() => {
      for (const socket of server.sockets) socket.destroy();
      server.#server.close();
    });
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Everything that ever came, on any connection. */
  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  #serve(socket: Socket): void {
    const connection = this.sockets.push(socket) - 1;
    let [at, headAt] = [0, -1];
    this.received[connection] = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const all = Buffer.concat([this.received[connection] ?? chunk, chunk]);
      this.received[connection] = all;
      try {
        for (;;) {
          const headEnd = all.indexOf('\r\n\r\n', at);
          if (headEnd >= 0 && headAt !== at) {
            headAt = at;
            this.onHead(all.toString('latin1', at, headEnd), socket);
          }
          const message = readStrictly(all, at);
          if (message === undefined) return;
          at = message.end;
          const request = { ...message, socket, connection };
          this.taken.push(request);
          this.onRequest(request);
        }
      } catch (error) {
        this.problems.push(error as Error);
        socket.destroy();
      }
    });
  }
}

export const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

export interface RawAnswer extends StrictMessage {
  readonly status: number;
  /** The first of a name in lower case; an empty string: there is none. */
  header(name: string): string;
  /** The body, as problem+json. */
  problem(): {
    readonly code: string;
    readonly detail?: string;
    readonly action?: string;
    readonly correlation_id: string;
  };
}

/** A caller that writes what a test wants, and reads answers strictly. */
export class RawHttp1 {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  readonly closed: Promise<unknown>;
  #at = 0;

  constructor(to: NetConnectOpts) {
    this.socket = connect({ ...to, noDelay: true } as NetConnectOpts);
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])));
    this.closed = new Promise((resolve) => this.socket.once('close', resolve));
  }

  write(text: string | Buffer): this {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
    return this;
  }

  /** The next answer; informational ones count. @throws Error when the connection closes before it is whole */
  async answer({ isBodiless = false } = {}): Promise<RawAnswer> {
    for (;;) {
      const message = readStrictly(this.received, this.#at, isBodiless || this.#isInformational());
      if (message !== undefined) {
        this.#at = message.end;
        return asAnswer(message);
      }
      if (this.socket.destroyed)
        throw new Error(`closed after ${JSON.stringify(this.received.toString('latin1', this.#at))}`);
      await within(Promise.race([once(this.socket, 'data'), this.closed]), 'an answer');
    }
  }

  /** Until so much has come that is no part of an answer read before. */
  async until(text: string): Promise<void> {
    while (!this.received.includes(text, this.#at)) {
      if (this.socket.destroyed)
        throw new Error(`closed before ${JSON.stringify(text)}: ${this.received.toString('latin1')}`);
      await within(Promise.race([once(this.socket, 'data'), this.closed]), text);
    }
  }

  #isInformational(): boolean {
    return /^HTTP\/1\.1 (?:1\d\d|204|304) /.test(this.received.toString('latin1', this.#at, this.#at + 13));
  }
}

function asAnswer(message: StrictMessage): RawAnswer {
  return {
    ...message,
    status: Number(message.line.slice(9, 12)),
    header: (name) => valuesOf(message.headers, name)[0] ?? '',
    problem: () => JSON.parse(message.body.toString()) as ReturnType<RawAnswer['problem']>,
  };
}
