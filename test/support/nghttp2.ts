import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { frames, frame, readFrames } from './http2-bytes.ts';

/** An end of a connection within the process, whose other end is the test itself. */
class Wire extends Duplex {
  #sent = Buffer.alloc(0);
  /** Told after each piece that Node sent. */
  onSent: (all: Buffer) => void = () => undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#sent = Buffer.concat([this.#sent, chunk]);
    done();
    this.onSent(this.#sent);
  }

  /** Resolves to all that Node sent as soon as `isEnough` says so. */
  async sent(isEnough: (all: Buffer) => boolean): Promise<Buffer> {
    return await new Promise((resolve) => {
      const look = (all: Buffer): void => {
        if (isEnough(all)) resolve(all);
      };
      this.onSent = look;
      look(this.#sent);
    });
  }
}

/** As many of the bytes as are whole frames. */
function wholeFrames(bytes: Buffer): ReturnType<typeof readFrames> {
  let end = 0;
  while (end + 9 <= bytes.length && end + 9 + bytes.readUIntBE(end, 3) <= bytes.length) {
    end += 9 + bytes.readUIntBE(end, 3);
  }
  return readFrames(bytes.subarray(0, end));
}

/** The header blocks that Node's client, which is nghttp2, makes of these requests on one connection, in order. */
export async function blocksOfNghttp2(requests: readonly OutgoingHttpHeaders[]): Promise<Buffer[]> {
  const wire = new Wire();
  const session = connect('http://localhost', { createConnection: () => wire });
  session.on('error', (error) => assert.fail(error));
  for (const headers of requests) session.request(headers, { endStream: true }).on('error', () => undefined);
  const blocks = (all: Buffer) =>
    wholeFrames(all.subarray(frames.preface.length)).filter(({ type, flags }) => {
      if (type === 1) assert.equal(flags & 0x2c, 0x4, 'one frame, neither padded nor with a priority');
      return type === 1;
    });
  const all = await wire.sent((bytes) => blocks(bytes).length === requests.length);
  session.destroy();
  return blocks(all).map(({ bytes }) => bytes.subarray(9));
}

/** What Node's server, which is nghttp2, says to header blocks: whether it could decode them, and the requests it saw. */
export async function readByNghttp2(
  blocks: readonly Buffer[],
): Promise<{ readonly decoded: boolean; readonly requests: readonly (readonly string[])[] }> {
  const server = createServer();
  const requests: string[][] = [];
  server.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: number, rawHeaders: string[]) => {
    requests.push(rawHeaders);
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  server.on('sessionError', () => undefined);
  const wire = new Wire();
  server.emit('connection', wire);
  wire.push(Buffer.concat([frames.preface, frame(4)]));
  blocks.forEach((block, number) => {
    assert.ok(block.length <= 16_384);
    wire.push(frame(1, { flags: 0x5, stream: 2 * number + 1, payload: Buffer.from(block) }));
  });
  wire.push(frames.ping());
  // A PING is answered when all before it has been read; a GOAWAY comes first where something was wrong.
  const isVerdict = ({ type, flags }: { type: number; flags: number }) => type === 7 || (type === 6 && flags === 1);
  const all = await wire.sent((bytes) => wholeFrames(bytes).some(isVerdict));
  const verdict = wholeFrames(all).find(isVerdict) ?? assert.fail();
  const closed = wire.closed ? Promise.resolve() : once(wire, 'close');
  wire.destroy();
  await closed;
  if (verdict.type === 7) {
    const code = verdict.bytes.readUInt32BE(13);
    assert.equal(code, 9, 'no error but COMPRESSION_ERROR');
    return { decoded: false, requests };
  }
  return { decoded: true, requests };
}
