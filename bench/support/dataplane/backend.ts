import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, findProgram, freePort, listening } from '../children.ts';

/** A unary call of gRPC: what it sends comes back. */
export const ECHO_PATH = '/bench.Echo/Call';
/** A long answer to a GET. */
export const STREAM_PATH = '/stream';

/** The server behind every pair: nghttpd, plaintext HTTP/2, that echoes what is posted and ends as gRPC ends. */
export class Backend {
  readonly port: number;
  readonly streamBytes: number;
  readonly #folder: string;
  readonly #server: Child;

  private constructor(
    folder: string,
    { port, streamBytes, server }: { port: number; streamBytes: number; server: Child },
  ) {
    this.#folder = folder;
    this.port = port;
    this.streamBytes = streamBytes;
    this.#server = server;
  }

  static async start(folder: string, streamBytes: number): Promise<Backend> {
    const nghttpd = findProgram('nghttpd', 'nghttp2-server');
    const documents = join(folder, 'documents');
    mkdirSync(documents);
    writeFileSync(join(documents, STREAM_PATH), Buffer.alloc(streamBytes, 'x'));
    const port = await freePort();
    const fixed = ['--no-tls', '--echo-upload', '--workers=1', '--trailer=grpc-status: 0', '--address=127.0.0.1'];
    const server = new Child([nghttpd, ...fixed, `--htdocs=${documents}`, String(port)], folder);
    await listening(port);
    return new Backend(folder, { port, streamBytes, server });
  }

  /** A file with one gRPC message of so many bytes in all, its prefix of five included. */
  messageFile(bytes: number): string {
    const file = join(this.#folder, `message-${bytes}`);
    writeFileSync(file, messageOf(bytes));
    return file;
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}

/** One gRPC message, not compressed. */
export function messageOf(bytes: number): Buffer {
  const message = Buffer.alloc(bytes, 'x');
  message.writeUInt8(0, 0);
  message.writeUInt32BE(bytes - 5, 1);
  return message;
}
