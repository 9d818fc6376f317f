import {
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type CallOptions,
  type Client,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';

const bytes = (value: Buffer): Buffer => value;
const SERVICE = {
  echo: {
    path: '/test.Echo/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} as const;

export interface EchoStub {
  echo(request: Buffer, options: CallOptions, callback: (error: ServiceError | null, answer?: Buffer) => void): void;
}

/** A client of {@link GrpcApp}. */
export const EchoClient = makeGenericClientConstructor(SERVICE, 'Echo') as unknown as new (
  ...input: ConstructorParameters<typeof Client>
) => Client & EchoStub;

/** An agent that speaks gRPC: a server in the test's own process that gives back what it gets. */
export class GrpcApp {
  readonly #server: Server;
  readonly address: string;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.address = `127.0.0.1:${port}`;
  }

  static async start(): Promise<GrpcApp> {
    const server = new Server();
    server.addService(SERVICE, {
      echo: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, call.request),
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    return new GrpcApp(server, port);
  }

  stop(): Promise<void> {
    this.#server.forceShutdown();
    return Promise.resolve();
  }
}
