import { once } from 'node:events';
import {
  connect,
  createServer,
  getDefaultSettings,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  type Http2Server,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
  type Settings,
} from 'node:http2';
import { connect as connectSocket, type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { Arrivals } from './arrivals.ts';
import { within } from './within.ts';

const END_STREAM = 1;

export interface TakenStream {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  /** Name and value in turns, in order, nothing joined. */
  readonly rawHeaders: readonly string[];
}

/** A plain HTTP/2 server in the test's own process. It answers nothing by itself: each stream is the test's to play. */
export class ScriptedHttp2Server {
  readonly streams = new Arrivals<TakenStream>('a stream at the server');
  readonly sessions = new Arrivals<ServerHttp2Session>('a session at the server');
  /** Set: plays every stream, and none of them arrives at {@link streams}. */
  onStream: ((taken: TakenStream) => void) | undefined;
  readonly #server: Http2Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(options: ServerOptions) {
    this.#server = createServer(options);
  }

  static async start(t: TestContext, options: ServerOptions = {}): Promise<ScriptedHttp2Server> {
    const scripted = new ScriptedHttp2Server(options);
    const server = scripted.#server;
    const open = new Set<ServerHttp2Session>();
    server.on('connection', (socket: Socket) => {
      scripted.#sockets.add(socket);
      socket.once('close', () => scripted.#sockets.delete(socket));
    });
    server.on('session', (session) => {
      open.add(session);
      session.on('error', () => undefined);
      session.once('close', () => open.delete(session));
      // Of the looks of a sidecar whether anybody listens, no settings ever come.
      session.once('remoteSettings', () => scripted.sessions.add(session));
    });
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      stream.on('error', () => undefined);
      const taken = { stream, headers, rawHeaders: raw };
      if (scripted.onStream === undefined) scripted.streams.add(taken);
      else scripted.onStream(taken);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    scripted.#port = (server.address() as AddressInfo).port;
    t.after(() => {
      for (const session of open) session.destroy();
      server.close();
    });
    return scripted;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** What it says on connections that begin from now on; what is not named is as by default. */
  set settings(settings: Settings) {
    // A server may not even say that it would push.
    const { enablePush: _, ...defaults } = getDefaultSettings();
    this.#server.updateSettings({ ...defaults, ...settings });
  }

  /** Resets every connection, as a server that crashes. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}

/** An HTTP/2 session of an agent with a peer, by prior knowledge. */
export async function connectHttp2(
  t: TestContext,
  socketPath: string,
  options: ClientSessionOptions = {},
): Promise<ClientHttp2Session> {
  const createConnection = () => connectSocket({ path: socketPath });
  const session = connect('http://researcher', { createConnection, ...options });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  await within(once(session, 'remoteSettings'), 'the SETTINGS of the server');
  return session;
}

/** Until it is closed, with an error or without. @throws Error when it is not in time */
export function closed(streamOrSession: NodeJS.EventEmitter, what: string): Promise<void> {
  const over = new Promise<void>((resolve) => {
    streamOrSession.once('close', () => resolve());
    streamOrSession.on('error', () => undefined);
  });
  return within(over, `the end of ${what}`);
}

/** What came back on one stream. */
export interface Exchanged {
  /** Final headers; empty where there were none. */
  readonly headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  /** Whether no body was announced: the final headers ended the stream. */
  readonly endedByHeaders: boolean;
  readonly informational: readonly (IncomingHttpHeaders & IncomingHttpStatusHeader)[];
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
  /** The code of RST_STREAM, 0 where the stream ended in good order. */
  readonly resetCode: number;
}

/** One request, and all that comes of it. */
export class Exchange {
  readonly stream: ClientHttp2Stream;
  /** Resolves when the stream is closed, however it was. @throws Error when it is not in time */
  readonly over: Promise<Exchanged>;

  /** @param options `endStream: true` for a request without a body; else the test ends {@link stream}. */
  constructor(
    session: ClientHttp2Session,
    headers: OutgoingHttpHeaders,
    { endStream = false, waitForTrailers = false, read = true } = {},
  ) {
    const stream = session.request({ ':authority': 'researcher', ...headers }, { endStream, waitForTrailers });
    this.stream = stream;
    const informational: (IncomingHttpHeaders & IncomingHttpStatusHeader)[] = [];
    const chunks: Buffer[] = [];
    let final: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    let trailers: IncomingHttpHeaders = {};
    let endedByHeaders = false;
    stream.on('headers', (more) => informational.push(more));
    stream.on('response', (response, flags) => {
      final = response;
      endedByHeaders = (flags & END_STREAM) !== 0;
    });
    stream.on('trailers', (last) => (trailers = last));
    if (read) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    // The code of the reset says the same.
    stream.on('error', () => undefined);
    const over = new Promise<Exchanged>((resolve) => {
      stream.once('close', () => {
        const body = Buffer.concat(chunks);
        resolve({ headers: final, endedByHeaders, informational, body, trailers, resetCode: stream.rstCode ?? 0 });
      });
    });
    this.over = within(over, 'the end of a stream', 60_000);
  }

  /** Sends the rest of the request and awaits everything. */
  ended(body?: Buffer | string): Promise<Exchanged> {
    this.stream.end(body);
    return this.over;
  }
}
