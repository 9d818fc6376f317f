import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Http2Drain } from '../../src/dataplane/http2-drain.ts';
import { frames, readFrames } from '../support/http2-bytes.ts';

const GOAWAY = frames.goaway(0x7fff_ffff);

const stream = fc.nat(20).map((number) => 2 * number + 1);
const flag = fc.boolean();
const serverFrame = fc.oneof(
  fc.tuple(stream, flag, fc.nat(400)).map(([id, end, bytes]) => [frames.data(id, { end, bytes })]),
  fc.tuple(stream, flag).map(([id, end]) => [frames.headers(id, { end })]),
  fc
    .tuple(stream, fc.nat(3))
    .map(([id, more]) => [
      frames.headers(id, { endHeaders: false }),
      ...Array.from({ length: more }, () => frames.continuation(id, { endHeaders: false })),
      frames.continuation(id),
    ]),
  stream.map((id) => [frames.reset(id)]),
  fc.constant([frames.ping()]),
);

/** Cuts bytes at the given places, which may lie anywhere. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
}

test('however the bytes are cut and whenever it begins: all pass unchanged, and one GOAWAY lies between two frames', () => {
  const script = fc.record({
    blocks: fc.array(serverFrame, { minLength: 1, maxLength: 12 }),
    places: fc.array(fc.nat(4000), { maxLength: 20 }),
    beginAfter: fc.nat(20),
  });
  fc.assert(
    fc.property(script, ({ blocks, places, beginAfter }) => {
      const expected = [frames.settings(), ...blocks.flat()];
      const sent: Buffer[] = [];
      const drain = new Http2Drain((bytes) => sent.push(bytes));
      drain.fromClient(frames.preface);
      const chunks = cut(Buffer.concat(expected), places);
      chunks.forEach((chunk, index) => {
        if (index === beginAfter) drain.begin();
        sent.push(...(drain.fromServer(chunk) ?? [chunk]));
      });
      if (beginAfter >= chunks.length) drain.begin();
      const read = readFrames(Buffer.concat(sent));
      const ours = read.findIndex(({ bytes }) => bytes.equals(GOAWAY));
      assert.ok(ours >= 1, 'asked, and not before the SETTINGS');
      const rest = read.filter((_, index) => index !== ours).map(({ bytes }) => bytes);
      assert.deepEqual(Buffer.concat(rest), Buffer.concat(expected), 'output is input but for that frame');
      // A header block is one piece: HEADERS without END_HEADERS and what continues it.
      const before = read[ours - 1];
      assert.ok(before !== undefined && !([1, 5, 9].includes(before.type) && (before.flags & 4) === 0));
    }),
    { numRuns: 500 },
  );
});

test('any bytes at all pass unchanged while nobody asks, and none makes it throw', () => {
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
  const side = fc.constantFrom('client', 'server');
  fc.assert(
    fc.property(fc.boolean(), fc.array(fc.tuple(side, bytes), { maxLength: 20 }), (http2, chunks) => {
      const drain = new Http2Drain(() => assert.fail('nobody asked'));
      if (http2) drain.fromClient(frames.preface);
      for (const [from, chunk] of chunks) {
        if (from === 'client') drain.fromClient(chunk);
        else assert.equal(drain.fromServer(chunk), undefined);
      }
    }),
  );
});

test('any bytes at all after it was asked: what comes out is what went in, with at most one frame more', () => {
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), (chunks) => {
      const sent: Buffer[] = [];
      const drain = new Http2Drain((frame) => sent.push(frame));
      drain.fromClient(frames.preface);
      drain.begin();
      for (const chunk of [frames.settings(), ...chunks]) sent.push(...(drain.fromServer(chunk) ?? [chunk]));
      const all = Buffer.concat(sent);
      const at = all.indexOf(GOAWAY);
      const without = Buffer.concat([all.subarray(0, at), all.subarray(at + GOAWAY.length)]);
      assert.deepEqual(without, Buffer.concat([frames.settings(), ...chunks]));
    }),
  );
});
