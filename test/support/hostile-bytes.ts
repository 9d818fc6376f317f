import assert from 'node:assert/strict';
import { HpackDecoder } from '../../src/dataplane/hpack/decoder.ts';
import { FLAG, FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';
import type { Side } from './bare-gate.ts';
import { conversingGate, type Delivery } from './conversation.ts';
import type { Dice } from './dice.ts';
import { frame, inWords, type ReadFrame } from './http2-bytes.ts';

/** Bytes as they were, or changed in one of the ways that find mistakes in parsers. */
export function mutated(bytes: Buffer, dice: Dice): Buffer {
  const at = dice.below(bytes.length + 1);
  switch (dice.below(8)) {
    case 0: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << dice.below(8));
      return copy;
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(20))]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), noise(dice, 1 + dice.below(30)), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([bytes, strangeFrame(dice)]);
    case 4:
      return Buffer.concat([strangeFrame(dice), bytes]);
    case 5:
      return Buffer.concat([bytes, bytes.subarray(dice.below(bytes.length))]);
    case 6:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.alloc(dice.below(12), dice.pick([0, 0xff])),
        bytes.subarray(at),
      ]);
    default:
      return bytes;
  }
}

function noise(dice: Dice, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => dice.below(256)));
}

/** A frame of a known type whose parts do not belong together. */
function strangeFrame(dice: Dice): Buffer {
  const stream = dice.pick([0, 1, 3, 5, 7, 2, 999, 0x7fff_ffff]);
  const payload = dice.chance(0.5) ? noise(dice, dice.below(20)) : Buffer.alloc(dice.pick([0, 1, 4, 5, 6, 8, 12]));
  return frame(dice.below(11), { flags: dice.pick([0, 1, 4, 5, 8, 13, 0x20, 0x2d]), stream, payload });
}

/**
 * Feeds a gate with chunks of which some are changed, and asserts what must hold whatever comes: only ConnectionErrors end
 * it, and those inside; what it says is whole frames; the callee hears of no stream that was not permitted and can read each
 * header block; after the end nothing more is said.
 *
 * @returns how many frames went out, and whether the gate ended
 */
export function assault(
  deliveries: readonly Delivery[],
  dice: Dice,
  perChunk: number,
): { frames: number; over: boolean } {
  const bare = conversingGate();
  const decoders = { client: new HpackDecoder({ maxListBytes: 1e6 }), server: new HpackDecoder({ maxListBytes: 1e6 }) };
  let frames = 0;
  for (const { from, chunk, ms } of deliveries) {
    bare.clock.ms = ms;
    const wasOver = bare.gate.over;
    bare.from(from, dice.chance(perChunk) ? mutated(chunk, dice) : chunk);
    const permitted = new Set(bare.policy.started_.map(({ streamId }) => streamId));
    for (const to of ['client', 'server'] as const) {
      const said = bare.take(to);
      if (wasOver) assert.deepEqual(said.map(inWords), [], 'said after the end');
      for (const one of said) assertSound(one, to, permitted);
      readBlocks(said, decoders[to]);
      frames += said.length;
    }
  }
  if (bare.gate.over) assert.equal(bare.gate.openCalls, 0);
  assert.equal(bare.policy.ended_.length, new Set(bare.policy.ended_.map(({ call }) => call.streamId)).size);
  return { frames, over: bare.gate.over };
}

function assertSound(one: ReadFrame, to: Side, permitted: ReadonlySet<number>): void {
  assert.ok(one.type <= FRAME_TYPE.continuation, inWords(one));
  assert.ok(one.stream <= 0x7fff_ffff, 'the reserved bit');
  if (to === 'server' && one.stream !== 0) assert.ok(permitted.has(one.stream), `not permitted: ${inWords(one)}`);
}

/** Blocks begin and end within what is taken at once. @throws HpackError where the other side could not read one */
function readBlocks(said: readonly ReadFrame[], decoder: HpackDecoder): void {
  let parts: Buffer[] = [];
  for (const { type, flags, payload } of said) {
    if (type !== FRAME_TYPE.headers && type !== FRAME_TYPE.continuation) {
      assert.equal(parts.length, 0, 'a block was interrupted');
      continue;
    }
    parts.push(payload);
    if ((flags & FLAG.endHeaders) === 0) continue;
    decoder.decode(Buffer.concat(parts));
    parts = [];
  }
  assert.equal(parts.length, 0, 'a block without end');
}
