import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameReader } from '../../../../src/dataplane/http2/frame-reader.ts';
import type { FrameSink } from '../../../../src/dataplane/http2/frame-sink.ts';
import { ConnectionError } from '../../../../src/dataplane/http2/protocol.ts';
import { frame, frames } from '../../../support/http2-bytes.ts';

/** Writes down what it is told; DATA with its octets. */
class Notes implements FrameSink {
  readonly lines: string[] = [];
  readonly data: FrameSink['data'] = (id, { chunk, start, end, frameAt, endStream }) =>
    this.#note(
      `data ${id} ${chunk.toString('latin1', start, end)}${endStream ? ' end' : ''}${frameAt >= 0 ? ' whole' : ''}`,
    );
  readonly padding = (id: number, octets: number): void => this.#note(`padding ${id} ${octets}`);
  readonly headers = (id: number, block: Buffer, end: boolean): void =>
    this.#note(`headers ${id} ${block.toString('latin1')}${end ? ' end' : ''}`);
  readonly rstStream = (id: number, code: number): void => this.#note(`reset ${id} ${code}`);
  readonly settings = (payload: Buffer): void => this.#note(`settings ${payload.toString('hex')}`);
  readonly settingsAck = (): void => this.#note('settings ack');
  readonly ping = (payload: Buffer, ack: boolean): void => this.#note(`ping ${payload.toString('latin1')} ${ack}`);
  readonly goaway = (last: number, code: number): void => this.#note(`goaway ${last} ${code}`);
  readonly windowUpdate = (id: number, octets: number): void => this.#note(`window ${id} ${octets}`);
  readonly ignored = (): void => this.#note('ignored');
  readonly pushPromise = (): void => this.#note('push');

  #note(line: string): void {
    this.lines.push(line);
  }
}

const LIMITS = { maxBlockBytes: 100, maxContinuations: 3 };

function read(...chunks: readonly Buffer[]): string[] {
  const notes = new Notes();
  const reader = new FrameReader(notes, LIMITS);
  for (const chunk of chunks) reader.read(chunk);
  return notes.lines;
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const EVERY_KIND = Buffer.concat([
  frames.settings([4, 7]),
  frames.settingsAck(),
  frames.headers(1, text('abc'), { end: true }),
  frames.headers(3, text('abc'), { endHeaders: false }),
  frames.continuation(3, text('def'), { endHeaders: false }),
  frames.continuation(3, text('g')),
  frames.headers(5, text('\x02\0\0\0\0\0abc\0\0'), { flags: 0x28 }),
  frames.priority(9),
  frames.reset(1, 8),
  frames.ping(),
  frames.ping({ ack: true }),
  frames.goaway(7, 2, 'debug'),
  frames.windowUpdate(0, 5),
  frame(0x77, { stream: 4, payload: text('nobody knows') }),
  frame(5, { stream: 1, payload: text('push') }),
]);
const EVERY_LINE = [
  'settings 000400000007',
  'settings ack',
  'headers 1 abc end',
  'headers 3 abcdefg',
  'headers 5 abc',
  'ignored',
  'reset 1 8',
  'ping pppppppp false',
  'ping pppppppp true',
  'goaway 7 2',
  'window 0 5',
  'ignored',
  'push',
];

test('every kind of frame is read', () => assert.deepEqual(read(EVERY_KIND), EVERY_LINE));

test('the same is read wherever a chunk ends, and octet by octet', () => {
  for (let at = 0; at <= EVERY_KIND.length; at += 1) {
    assert.deepEqual(read(EVERY_KIND.subarray(0, at), EVERY_KIND.subarray(at)), EVERY_LINE, `cut at ${at}`);
  }
  const octets = Array.from(EVERY_KIND, (_, at) => EVERY_KIND.subarray(at, at + 1));
  assert.deepEqual(read(...octets), EVERY_LINE);
});

test('DATA is handed on as it comes, and its end with the last piece only', () => {
  const bytes = frames.data(1, text('abcdef'), { end: true });
  assert.deepEqual(read(bytes), ['data 1 abcdef end whole']);
  assert.deepEqual(read(bytes.subarray(0, 9), bytes.subarray(9)), ['data 1 abcdef end']);
  assert.deepEqual(read(bytes.subarray(0, 11), bytes.subarray(11)), ['data 1 ab', 'data 1 cdef end']);
});

test('empty DATA is told, with and without the end of its stream', () => {
  assert.deepEqual(read(frames.data(1, 0), frames.data(1, 0, { end: true })), ['data 1  whole', 'data 1  end whole']);
});

test('padding is told by its number of octets, its length included, wherever chunks end', () => {
  const bytes = frames.paddedData(1, text('abc'), 4, { end: true });
  assert.deepEqual(read(bytes), ['padding 1 5', 'data 1 abc end']);
  for (let at = 1; at < bytes.length; at += 1) {
    const lines = read(bytes.subarray(0, at), bytes.subarray(at));
    const octets = lines.filter((line) => line.startsWith('data')).map((line) => line.split(' ')[2]);
    assert.deepEqual([lines[0], octets.join('')], ['padding 1 5', 'abc'], `cut at ${at}`);
    assert.deepEqual(lines.filter((line) => line.endsWith(' end')).length, 1);
  }
  assert.deepEqual(read(frames.paddedData(1, 0, 9)), ['padding 1 10', 'data 1 ']);
});

test('DATA whose header may not go on as it is, is not whole', () => {
  assert.deepEqual(read(frame(0, { stream: 1, flags: 0x40, payload: text('a') })), ['data 1 a']);
  assert.deepEqual(read(frame(0, { stream: 0x8000_0001, payload: text('a') })), ['data 1 a']);
});

test('frames are as large as was allowed, header blocks as large as fits, and everything else as the default', () => {
  const notes = new Notes();
  const reader = new FrameReader(notes, { maxBlockBytes: 30_000, maxContinuations: 3 });
  reader.maxFrame = 50_000;
  reader.read(frame(0x77, { payload: Buffer.alloc(50_000) }));
  reader.read(frames.headers(1, Buffer.alloc(30_000)));
  reader.read(frames.data(1, 50_000));
  assert.equal(notes.lines.length, 3);
  const fails = (bytes: Buffer, code: string) => {
    const fresh = new FrameReader(new Notes(), { maxBlockBytes: 30_000, maxContinuations: 3 });
    fresh.maxFrame = 50_000;
    assert.throws(
      () => fresh.read(bytes),
      (error) => error instanceof ConnectionError && error.code === code,
    );
  };
  fails(frame(0x77, { payload: Buffer.alloc(50_001) }), 'FRAME_SIZE_ERROR');
  fails(frames.data(1, 50_001), 'FRAME_SIZE_ERROR');
  fails(frame(4, { payload: Buffer.alloc(16_386) }), 'FRAME_SIZE_ERROR');
  // Refused by what the header says, before a byte of it is held.
  fails(frames.headers(1, Buffer.alloc(40_000)).subarray(0, 9), 'ENHANCE_YOUR_CALM');
});

test('a header block is bounded in bytes and in frames, at the very number', () => {
  const start = frames.headers(1, Buffer.alloc(40), { endHeaders: false });
  const more = (bytes: number) => frames.continuation(1, Buffer.alloc(bytes), { endHeaders: false });
  assert.deepEqual(read(start, more(60)), []);
  assert.throws(() => read(start, more(61)), { code: 'ENHANCE_YOUR_CALM' });
  assert.deepEqual(read(start, more(0), more(0), more(0)), []);
  assert.throws(() => read(start, more(0), more(0), more(0), more(0)), { code: 'ENHANCE_YOUR_CALM' });
});

test('whoever holds up a frame owes it, DATA apart', () => {
  const reader = new FrameReader(new Notes(), LIMITS);
  const owes = (bytes: Buffer): [boolean, number] => {
    reader.read(bytes);
    return [reader.owesFrame, reader.completed];
  };
  const ping = frames.ping();
  assert.deepEqual(owes(ping), [false, 1]);
  assert.deepEqual(owes(ping.subarray(0, 1)), [true, 1]);
  assert.deepEqual(owes(ping.subarray(1, 12)), [true, 1]);
  assert.deepEqual(owes(ping.subarray(12)), [false, 2]);
  assert.deepEqual(owes(frames.data(1, 9).subarray(0, 12)), [false, 3]);
  assert.deepEqual(owes(Buffer.alloc(6)), [false, 3]);
  assert.deepEqual(owes(frames.headers(1, text('a'), { endHeaders: false })), [true, 3]);
  assert.deepEqual(owes(frames.continuation(1, text('b'), { endHeaders: false })), [true, 3]);
  assert.deepEqual(owes(frames.continuation(1, text('c'))), [false, 4]);
  assert.deepEqual(owes(frame(0x77, { payload: Buffer.alloc(9) }).subarray(0, 12)), [false, 5]);
});

test('what is read after a frame that was held is not mixed up with it', () => {
  const held = frames.headers(1, text('first'));
  const lines = read(held.subarray(0, 10), Buffer.concat([held.subarray(10), frames.headers(3, text('second'))]));
  assert.deepEqual(lines, ['headers 1 first', 'headers 3 second']);
});
