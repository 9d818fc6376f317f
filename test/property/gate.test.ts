import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seeded } from '../../bench/support/seeded.ts';
import type { BareGate, Side } from '../support/bare-gate.ts';
import { Conversation, conversingGate, type Delivery } from '../support/conversation.ts';
import { Dice } from '../support/dice.ts';
import { assault } from '../support/hostile-bytes.ts';
import { inWords } from '../support/http2-bytes.ts';
import { compareWithNode } from '../support/node-oracle.ts';

const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });

function converse(from: number, steps: number): { conversation: Conversation; deliveries: readonly Delivery[] } {
  const deliveries: Delivery[] = [];
  const conversation = new Conversation({
    dice: new Dice(seeded(from)),
    onDelivery: (delivery) => deliveries.push(delivery),
  });
  for (let step = 0; step < steps; step += 1) conversation.step();
  conversation.finish();
  return { conversation, deliveries };
}

test('any conversation comes out as it went in, refused and cut calls apart, and no octet of a window is lost', () => {
  let compared = 0;
  fc.assert(
    fc.property(seed, fc.integer({ min: 10, max: 1500 }), (from, steps) => {
      compared += converse(from, steps).conversation.compared;
    }),
    { numRuns: 60 },
  );
  assert.ok(compared > 1000, `only ${compared} calls were compared`);
});

/** Everything that goes out to a side, with DATA that follows each other joined, and what is given back added up. */
function summary(said: readonly string[]): string[] {
  const lines: string[] = [];
  let givenBack = 0;
  for (const line of said) {
    const [kind, stream, octets, end] = line.split(' ');
    if (kind === 'WINDOW_UPDATE' && stream === '0') {
      givenBack += Number(octets);
      continue;
    }
    const [lastKind, lastStream, lastOctets, lastEnd] = (lines.at(-1) ?? '').split(' ');
    if (kind === 'DATA' && lastKind === 'DATA' && stream === lastStream && lastEnd === undefined) {
      lines[lines.length - 1] = [kind, stream, Number(lastOctets) + Number(octets), end].filter(Boolean).join(' ');
    } else lines.push(line);
  }
  return [...lines, `${givenBack} given back`];
}

function replay(deliveries: readonly Delivery[], cut: (chunk: Buffer) => readonly Buffer[]): Record<Side, string[]> {
  const bare: BareGate = conversingGate();
  const said: Record<Side, string[]> = { client: [], server: [] };
  for (const { from, chunk, ms } of deliveries) {
    bare.clock.ms = ms;
    bare.from(from, ...cut(chunk));
    for (const side of ['client', 'server'] as const) said[side].push(...bare.take(side).map(inWords));
  }
  return { client: summary(said.client), server: summary(said.server) };
}

test('however the same bytes are cut into chunks, the same comes out', () => {
  fc.assert(
    fc.property(seed, fc.integer({ min: 1, max: 60 }), (from, most) => {
      const { deliveries } = converse(from, 300);
      const dice = new Dice(seeded(from + 1));
      const inPieces = (chunk: Buffer): Buffer[] => {
        const pieces: Buffer[] = [];
        for (let at = 0; at < chunk.length;) {
          const end = at + 1 + dice.below(most);
          pieces.push(chunk.subarray(at, end));
          at = end;
        }
        return pieces;
      };
      assert.deepEqual(
        replay(deliveries, inPieces),
        replay(deliveries, (chunk) => [chunk]),
      );
    }),
    { numRuns: 25 },
  );
});

test('whatever bytes come, the gate ends or goes on in good order, and no refused call reaches the callee', () => {
  let ended = 0;
  fc.assert(
    fc.property(seed, fc.constantFrom(0.01, 0.1, 0.5), (from, perChunk) => {
      const { deliveries } = converse(from % 16, 200);
      for (let round = 0; round < 10; round += 1) {
        if (assault(deliveries, new Dice(seeded(from + round)), perChunk).over) ended += 1;
      }
    }),
    { numRuns: 40 },
  );
  assert.ok(ended > 100, `only ${ended} of 400 were seen to end`);
});

test('bytes that were never HTTP/2 reach nobody', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }), (chunks) => {
      const bare = conversingGate();
      for (const chunk of chunks) bare.from('client', Buffer.from(chunk));
      assert.deepEqual(bare.take('server'), []);
    }),
    { numRuns: 1000 },
  );
});

test("Node's own HTTP/2 understands what comes out as it was meant", async () => {
  await fc.assert(
    fc.asyncProperty(seed, async (from) => {
      await compareWithNode(new Dice(seeded(from)), 20);
    }),
    { numRuns: 20 },
  );
});
