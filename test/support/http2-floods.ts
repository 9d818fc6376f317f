import { FLAG, FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';
import { frame } from './http2-bytes.ts';
import { fieldsBlock, GRPC_CALL, settingsFrame } from './raw-http2.ts';

/** More of anything than an honest side sends in so short a time, and no more than a test needs: bounded in count. */
const COUNT = 20_000;
/** Frames for one write. */
const BATCH = 250;

const WINDOW_OF_ONE = Buffer.from([0, 0, 0, 1]);
const PRIORITY = Buffer.from([0, 0, 0, 0, 16]);

/** Floods that either side can send; `stream` is one that is open. */
export const COMMON_FLOODS: Readonly<Record<string, (stream: number) => Iterable<Buffer>>> = {
  PING: () => repeated(frame(FRAME_TYPE.ping, { payload: Buffer.alloc(8, 'p') })),
  'acknowledged PING': () => repeated(frame(FRAME_TYPE.ping, { flags: FLAG.ack, payload: Buffer.alloc(8, 'p') })),
  SETTINGS: () => repeated(settingsFrame([[4, 65_535]])),
  'empty SETTINGS': () => repeated(settingsFrame([])),
  'empty DATA': (stream) => repeated(frame(FRAME_TYPE.data, { stream })),
  'DATA of padding alone': (stream) =>
    repeated(frame(FRAME_TYPE.data, { flags: FLAG.padded, stream, payload: Buffer.from([0]) })),
  'WINDOW_UPDATE of the connection': () => repeated(frame(FRAME_TYPE.windowUpdate, { payload: WINDOW_OF_ONE })),
  'WINDOW_UPDATE of a stream': (stream) => repeated(frame(FRAME_TYPE.windowUpdate, { stream, payload: WINDOW_OF_ONE })),
  PRIORITY: (stream) => repeated(frame(FRAME_TYPE.priority, { stream, payload: PRIORITY })),
  'unknown frames': () => repeated(frame(0xbe, { payload: Buffer.alloc(100) })),
  GOAWAY: () => repeated(frame(FRAME_TYPE.goaway, { payload: Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]) })),
};

/** Floods that only a client can send; streams from `first` on. */
export const CLIENT_FLOODS: Readonly<Record<string, (first: number) => Iterable<Buffer>>> = {
  ...COMMON_FLOODS,
  'rapid reset': (first) => rapidReset(first + 2),
  'resets of requests that are malformed': (first) => malformed(first + 2),
};

/** A header block that goes on and on, in frames of so many bytes. */
export function* endlessBlock(stream: number, bytes: number): Generator<Buffer> {
  const block = fieldsBlock(GRPC_CALL);
  yield frame(FRAME_TYPE.headers, { flags: FLAG.endStream, stream, payload: block });
  const payload = bytes === 0 ? Buffer.alloc(0) : fieldsBlock([['a', 'x'.repeat(bytes)]]);
  for (const piece of repeated(
    frame(FRAME_TYPE.continuation, { stream, payload }),
    Math.min(COUNT, 4e6 / (bytes + 9)),
  )) {
    yield piece;
  }
}

function* repeated(one: Buffer, count = COUNT): Generator<Buffer> {
  const batch = Buffer.concat(Array.from({ length: BATCH }, () => one));
  for (let sent = 0; sent < count; sent += BATCH) yield batch;
}

function* rapidReset(first: number): Generator<Buffer> {
  const block = fieldsBlock(GRPC_CALL);
  for (let at = 0; at < COUNT; at += BATCH) {
    const batch: Buffer[] = [];
    for (let i = at; i < at + BATCH; i += 1) {
      const stream = first + 2 * i;
      batch.push(
        frame(FRAME_TYPE.headers, { flags: FLAG.endHeaders | FLAG.endStream, stream, payload: block }),
        frame(FRAME_TYPE.rstStream, { stream, payload: Buffer.from([0, 0, 0, 8]) }),
      );
    }
    yield Buffer.concat(batch);
  }
}

/** The receiver has to send the resets: the attack that is known as MadeYouReset. */
function* malformed(first: number): Generator<Buffer> {
  const block = fieldsBlock([...GRPC_CALL, ['connection', 'close']]);
  for (let at = 0; at < COUNT; at += BATCH) {
    const batch: Buffer[] = [];
    for (let i = at; i < at + BATCH; i += 1) {
      batch.push(
        frame(FRAME_TYPE.headers, { flags: FLAG.endHeaders | FLAG.endStream, stream: first + 2 * i, payload: block }),
      );
    }
    yield Buffer.concat(batch);
  }
}
