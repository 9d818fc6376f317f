import type { TestContext } from 'node:test';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type CallOptions,
  type ChannelOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerOptions,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { Arrivals } from './arrivals.ts';
import { within } from './within.ts';

const bytes = (buffer: Buffer): Buffer => buffer;
const codec = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
} as const;

/** One method of each type; messages are bare bytes. */
export const SCRIPTED_SERVICE = {
  Unary: { path: '/interop.Test/Unary', requestStream: false, responseStream: false, ...codec },
  Collect: { path: '/interop.Test/Collect', requestStream: true, responseStream: false, ...codec },
  List: { path: '/interop.Test/List', requestStream: false, responseStream: true, ...codec },
  Chat: { path: '/interop.Test/Chat', requestStream: true, responseStream: true, ...codec },
} as const satisfies ServiceDefinition;

export interface TakenUnary {
  readonly call: ServerUnaryCall<Buffer, Buffer>;
  readonly answer: sendUnaryData<Buffer>;
}
export interface TakenCollect {
  readonly call: ServerReadableStream<Buffer, Buffer>;
  readonly answer: sendUnaryData<Buffer>;
}

/** A gRPC server in the test's own process. It answers nothing by itself: each call is the test's to play. */
export class ScriptedServer {
  readonly unary = new Arrivals<TakenUnary>('a unary call at the server');
  readonly collect = new Arrivals<TakenCollect>('a client stream at the server');
  readonly list = new Arrivals<ServerWritableStream<Buffer, Buffer>>('a server stream at the server');
  readonly chat = new Arrivals<ServerDuplexStream<Buffer, Buffer>>('a stream of both ways at the server');
  readonly #server: Server;
  #port = 0;
  /** Set: answers every unary call, and none of them arrives at {@link unary}. */
  answerUnary: ((taken: TakenUnary) => void) | undefined;

  private constructor(options: ServerOptions) {
    this.#server = new Server(options);
    this.#server.addService(SCRIPTED_SERVICE, {
      Unary: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
        if (this.answerUnary === undefined) this.unary.add({ call, answer });
        else this.answerUnary({ call, answer });
      },
      Collect: (call: ServerReadableStream<Buffer, Buffer>, answer: sendUnaryData<Buffer>) =>
        this.collect.add({ call, answer }),
      List: (call: ServerWritableStream<Buffer, Buffer>) => this.list.add(call),
      Chat: (call: ServerDuplexStream<Buffer, Buffer>) => this.chat.add(call),
    });
  }

  static async start(t: TestContext, options: ServerOptions = {}, port = 0): Promise<ScriptedServer> {
    const server = new ScriptedServer({ 'grpc.max_receive_message_length': 16 * 1024 * 1024, ...options });
    t.after(() => server.#server.forceShutdown());
    server.#port = await new Promise<number>((resolve, reject) => {
      server.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }
}

/** How a call ended, as its caller sees it. */
export interface Outcome {
  /** `undefined`: there was none, the answer was trailers only. */
  readonly initial: Metadata | undefined;
  readonly messages: readonly Buffer[];
  readonly status: StatusObject;
}

export interface Calling<Call> {
  readonly call: Call;
  /** Resolves whatever the status is. @throws Error when the call does not end in time */
  readonly outcome: Promise<Outcome>;
}

interface HowToCall {
  readonly metadata?: Metadata;
  readonly options?: CallOptions;
}

/** A gRPC client as an agent would have it: one channel, and all that a call comes to. */
export class ScriptedCaller {
  readonly client: Client;

  /** @param socket path of the unix socket where a peer is called. */
  constructor(t: TestContext, socket: string, options: ChannelOptions = {}) {
    this.client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.default_authority': 'researcher',
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': 16 * 1024 * 1024,
      ...options,
    });
    t.after(() => this.client.close());
  }

  unary(request: Buffer, { metadata = new Metadata(), options = {} }: HowToCall = {}): Calling<ClientUnaryCall> {
    const single = new SingleAnswer();
    const { path } = SCRIPTED_SERVICE.Unary;
    const call = this.client.makeUnaryRequest(path, bytes, bytes, request, metadata, options, single.take);
    return { call, outcome: outcomeOf(call, single.messages) };
  }

  collect({ metadata = new Metadata(), options = {} }: HowToCall = {}): Calling<ClientWritableStream<Buffer>> {
    const single = new SingleAnswer();
    const { path } = SCRIPTED_SERVICE.Collect;
    const call = this.client.makeClientStreamRequest(path, bytes, bytes, metadata, options, single.take);
    return { call, outcome: outcomeOf(call, single.messages) };
  }

  /** @param how `read: false` leaves the answer unread until somebody listens to `data`; the outcome holds no messages then. */
  list(
    request: Buffer,
    { metadata = new Metadata(), options = {}, read = true }: HowToCall & { readonly read?: boolean } = {},
  ): Calling<ClientReadableStream<Buffer>> {
    const { path } = SCRIPTED_SERVICE.List;
    const call = this.client.makeServerStreamRequest(path, bytes, bytes, request, metadata, options);
    return { call, outcome: outcomeOf(call, read ? messagesOf(call) : []) };
  }

  chat({ metadata = new Metadata(), options = {} }: HowToCall = {}) {
    const call = this.client.makeBidiStreamRequest(SCRIPTED_SERVICE.Chat.path, bytes, bytes, metadata, options);
    return { call, outcome: outcomeOf(call, messagesOf(call)) };
  }
}

/** The one message that a call of this type answers, if it answers. */
class SingleAnswer {
  readonly messages: Buffer[] = [];
  readonly take = (error: ServiceError | null, answer?: Buffer): void => {
    if (error === null && answer !== undefined) this.messages.push(answer);
  };
}

/** What is read from this stream of messages, growing as it arrives. */
export function messagesOf(stream: NodeJS.ReadableStream): Buffer[] {
  const messages: Buffer[] = [];
  stream.on('data', (message: Buffer) => messages.push(message));
  return messages;
}

function outcomeOf(call: NodeJS.EventEmitter, messages: readonly Buffer[]): Promise<Outcome> {
  let initial: Metadata | undefined;
  call.on('metadata', (metadata: Metadata) => (initial = metadata));
  // The status says the same, and more.
  call.on('error', () => undefined);
  const ended = new Promise<Outcome>((resolve) => {
    call.on('status', (status: StatusObject) => resolve({ initial, messages, status }));
  });
  return within(ended, 'the end of a call', 60_000);
}
