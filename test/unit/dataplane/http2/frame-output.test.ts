import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameOutput } from '../../../../src/dataplane/http2/frame-output.ts';
import { frames, inWords, readFrames } from '../../../support/http2-bytes.ts';

function taken(output: FrameOutput): string[] {
  return readFrames(Buffer.concat(output.take())).map(inWords);
}

test('every kind of frame is written as a reader reads it, in order', () => {
  const output = new FrameOutput();
  output.settings([
    [3, 100],
    [6, 0xffff_ffff],
  ]);
  output.settingsAck();
  output.headers(1, [Buffer.from('a'), Buffer.from('b')], false);
  output.headers(3, [], true);
  output.data(1, { chunk: Buffer.from('.abc.'), start: 1, end: 4 }, true);
  output.data(1, { chunk: Buffer.alloc(0), start: 0, end: 0 }, true);
  output.rstStream(1, 0xffff_ffff);
  output.windowUpdate(0, 0x7fff_ffff);
  output.ping(Buffer.from('12345678'), true);
  output.ping(Buffer.from('12345678'), false);
  output.goaway(0x7fff_ffff, 0xb);
  assert.deepEqual(taken(output), [
    'SETTINGS 3=100 6=4294967295',
    'SETTINGS ACK',
    'HEADERS 1',
    'HEADERS 3 END',
    'DATA 1 3 END',
    'DATA 1 0 END',
    'RST_STREAM 1 error 4294967295',
    'WINDOW_UPDATE 0 2147483647',
    'PING ACK',
    'PING',
    'GOAWAY 2147483647 ENHANCE_YOUR_CALM',
  ]);
});

test('a header block that is too large for one frame goes on in others, at the very octet', () => {
  const output = new FrameOutput();
  for (const [bytes, lines] of [
    [16_384, ['HEADERS 1 END']],
    [16_385, ['HEADERS 1 END …', 'CONTINUATION 1']],
    [32_768, ['HEADERS 1 END …', 'CONTINUATION 1']],
    [32_769, ['HEADERS 1 END …', 'CONTINUATION 1 …', 'CONTINUATION 1']],
  ] as const) {
    const block = Buffer.from(Array.from({ length: bytes }, (_, at) => at & 0xff));
    output.headers(1, [block.subarray(0, 7), block.subarray(7)], true);
    const found = readFrames(Buffer.concat(output.take()));
    assert.deepEqual(found.map(inWords), lines);
    assert.ok(Buffer.concat(found.map(({ payload }) => payload)).equals(block));
  }
});

test('what was taken does not change when more is written, by this output or another', () => {
  const output = new FrameOutput();
  output.ping(Buffer.from('11111111'), false);
  const first = output.take();
  const copy = Buffer.concat(first);
  const another = new FrameOutput();
  for (let i = 0; i < 3000; i += 1) {
    output.ping(Buffer.from('22222222'), false);
    another.ping(Buffer.from('33333333'), false);
  }
  assert.ok(Buffer.concat(first).equals(copy));
  for (const [from, digit] of [
    [output, '2'],
    [another, '3'],
  ] as const) {
    const found = readFrames(Buffer.concat(from.take()));
    assert.equal(found.length, 3000);
    assert.ok(found.every(({ payload }) => payload.toString() === digit.repeat(8)));
  }
});

test('runs of all lengths go through in order, whatever fits into a stage and whatever does not', () => {
  const output = new FrameOutput();
  const lengths = [0, 1, 4095, 4096, 4097, 16_375, 16_376, 3, 16_384, 4096, 4096, 4096, 4096, 5, 60_000];
  lengths.forEach((length, index) => {
    const whole = frames.data(2 * index + 1, Buffer.alloc(length, index));
    output.pass(Buffer.concat([Buffer.alloc(3), whole, Buffer.alloc(3)]), 3, 3 + whole.length);
  });
  const bytes = lengths.reduce((sum, length) => sum + 9 + length, 0);
  assert.equal(output.length, bytes);
  const found = readFrames(Buffer.concat(output.take()));
  assert.deepEqual(
    found.map(({ payload }) => payload.length),
    lengths,
  );
  found.forEach(({ payload }, index) => assert.ok(payload.every((octet) => octet === index)));
  assert.equal(output.length, 0);
  assert.deepEqual(output.take(), []);
});

test('a long run is not copied, a short one is', () => {
  const output = new FrameOutput();
  const long = frames.data(1, 5000);
  output.pass(long, 0, long.length);
  assert.equal(output.take()[0]?.buffer, long.buffer);
  const short = frames.data(1, 50);
  output.pass(short, 0, short.length);
  const [copy] = output.take();
  short.fill(0);
  assert.equal(inWords(readFrames(copy ?? Buffer.alloc(0))[0]!), 'DATA 1 50');
});
