import {
  type Client,
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  status,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type ServiceDefinition,
} from '@grpc/grpc-js';

const bytes = (buffer: Buffer): Buffer => buffer;
const codec = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
} as const;
const definition = {
  Echo: { path: '/test.Test/Echo', requestStream: false, responseStream: false, ...codec },
  Count: { path: '/test.Test/Count', requestStream: false, responseStream: true, ...codec },
} as const satisfies ServiceDefinition;

/** A gRPC server as an agent would run it: `Echo` answers with its own name, `Count` streams so many numbers. */
export class GrpcApp {
  readonly name: string;
  readonly #server = new Server();
  #port = 0;
  calls = 0;

  private constructor(name: string, everyMs: number) {
    this.name = name;
    this.#server.addService(definition, {
      Echo: (_call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
        this.calls += 1;
        callback(null, Buffer.from(name));
      },
      Count: (call: ServerWritableStream<Buffer, Buffer>) => {
        const wanted = Number(call.request.toString());
        let said = 0;
        const timer = setInterval(() => {
          said += 1;
          call.write(Buffer.from(`${name} ${said}`));
          if (said < wanted) return;
          clearInterval(timer);
          call.end();
        }, everyMs);
        call.on('cancelled', () => clearInterval(timer));
      },
    });
  }

  /** @param everyMs between two numbers of `Count`. */
  static async start(name: string, { everyMs = 50 } = {}): Promise<GrpcApp> {
    const app = new GrpcApp(name, everyMs);
    app.#port = await new Promise<number>((resolve, reject) => {
      app.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
    return app;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

/**
 * A client as an agent would write it: one channel for all calls, no retry policy. As by default, grpc-js itself repeats a
 * call once of which not a byte has left when the connection is asked to close.
 */
export class GrpcCaller {
  readonly #client: Client;

  /** @param socket path of the unix socket where a peer is called. */
  constructor(socket: string) {
    const Constructor = makeGenericClientConstructor(definition, 'Test');
    const options = { 'grpc.default_authority': 'peer', 'grpc.use_local_subchannel_pool': 1 };
    this.#client = new Constructor(`unix:${socket}`, credentials.createInsecure(), options);
  }

  /** @returns who answered. @throws the call's error */
  echo(deadlineMs = 15_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const { path } = definition.Echo;
      const options = { deadline: Date.now() + deadlineMs };
      this.#client.makeUnaryRequest(path, bytes, bytes, Buffer.from('x'), options, (error, answer) => {
        if (error === null && answer !== undefined) resolve(answer.toString());
        else reject(error ?? new Error('no answer'));
      });
    });
  }

  /** @returns what was streamed, once it has ended in good order. @throws the call's error */
  count(numbers: number, onFirst: (text: string) => void = () => undefined): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const heard: string[] = [];
      const call = this.#client.makeServerStreamRequest(definition.Count.path, bytes, bytes, Buffer.from(`${numbers}`));
      call.on('data', (chunk: Buffer) => {
        heard.push(chunk.toString());
        if (heard.length === 1) onFirst(heard[0] ?? '');
      });
      call.on('error', reject);
      call.on('status', ({ code }) => {
        if (code === status.OK) resolve(heard);
      });
    });
  }

  close(): void {
    this.#client.close();
  }
}
