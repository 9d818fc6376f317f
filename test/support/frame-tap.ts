import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { pollUntil } from './poll-until.ts';

export interface TappedFrame {
  readonly from: 'client' | 'server';
  /** 1 for the first connection that said anything. */
  readonly connection: number;
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  /** Of the payload, in bytes. */
  readonly length: number;
}

const HEADER_BYTES = 9;
/** What a client sends before its first frame (RFC 9113, section 3.4). */
const PREFACE_BYTES = 24;

/**
 * Stands between a sidecar and its agent's server, passes every byte on, and writes down the frames of HTTP/2: what a
 * library does not tell about itself.
 */
export class FrameTap {
  readonly frames: TappedFrame[] = [];
  readonly #open = new Set<Socket>();
  #port = 0;
  /** How many connections have said anything. */
  connections = 0;

  static async start(t: TestContext, target: string): Promise<FrameTap> {
    const tap = new FrameTap();
    const [host = '', port = ''] = target.split(':');
    const server = createServer({ allowHalfOpen: true }, (client) => {
      const onward = connect({ host, port: Number(port), allowHalfOpen: true });
      tap.#pass(client, onward);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    tap.#port = (server.address() as AddressInfo).port;
    t.after(() => {
      for (const socket of tap.#open) socket.destroy();
      server.close();
    });
    return tap;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Until so many frames of this kind have passed. @throws Error when they do not in time */
  async sees(count: number, kind: Partial<TappedFrame>): Promise<TappedFrame[]> {
    const wanted = Object.entries(kind);
    const matching = () =>
      this.frames.filter((frame) => wanted.every(([key, value]) => frame[key as keyof TappedFrame] === value));
    await pollUntil(
      () => matching().length,
      (seen) => seen >= count,
    );
    return matching();
  }

  #pass(client: Socket, server: Socket): void {
    let connection = 0;
    const note = (from: 'client' | 'server') => (frame: Omit<TappedFrame, 'from' | 'connection'>) =>
      this.frames.push({ from, connection, ...frame });
    const readers = {
      client: new FrameCutter(note('client'), PREFACE_BYTES),
      server: new FrameCutter(note('server')),
    };
    for (const [from, source, sink] of [
      ['client', client, server],
      ['server', server, client],
    ] as const) {
      this.#open.add(source);
      source.once('close', () => {
        this.#open.delete(source);
        // After an end in good order the other side may still have something to read.
        if (!source.readableEnded) sink.destroy();
      });
      source.on('error', () => undefined);
      source.on('data', (chunk: Buffer) => {
        if (from === 'client' && connection === 0) connection = this.connections += 1;
        readers[from].read(chunk);
      });
      source.pipe(sink);
    }
  }
}

/** Cuts one direction into frames; of the payloads it keeps nothing. */
class FrameCutter {
  readonly #onFrame: (frame: Omit<TappedFrame, 'from' | 'connection'>) => void;
  #skip: number;
  #header = Buffer.alloc(0);

  /** @param skip bytes before the first frame. */
  constructor(onFrame: (frame: Omit<TappedFrame, 'from' | 'connection'>) => void, skip = 0) {
    this.#onFrame = onFrame;
    this.#skip = skip;
  }

  read(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      const skipped = Math.min(this.#skip, rest.length);
      this.#skip -= skipped;
      rest = rest.subarray(skipped);
      const missing = HEADER_BYTES - this.#header.length;
      this.#header = Buffer.concat([this.#header, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      if (this.#header.length < HEADER_BYTES) return;
      const [type = 0, flags = 0] = [this.#header[3], this.#header[4]];
      const length = this.#header.readUIntBE(0, 3);
      this.#onFrame({ type, flags, stream: this.#header.readUInt32BE(5) & 0x7fff_ffff, length });
      this.#skip = length;
      this.#header = Buffer.alloc(0);
    }
  }
}
