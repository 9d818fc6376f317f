import { Conversation, type Delivery } from '../test/support/conversation.ts';
import { collectGarbage } from '../test/support/collect-garbage.ts';
import { Dice } from '../test/support/dice.ts';
import { assault } from '../test/support/hostile-bytes.ts';
import { compareWithNode } from '../test/support/node-oracle.ts';
import { readOptions } from './support/options.ts';
import { seeded } from './support/seeded.ts';

const WHAT = `The gate of the data plane under structured fuzzing: conversations by chance, each of them checked at both ends (headers,
bytes, trailers, windows) and then played again with bytes changed, left out and put in; now and then calls are sent
through the gate to Node's own HTTP/2, which must understand what was meant. Ends with the first finding, and names its
seed; the memory that stays after garbage collection must not grow.`;

const options = readOptions({
  name: 'fuzz',
  command: 'fuzz',
  what: WHAT,
  numbers: {
    frames: { byDefault: 10_000_000, text: 'frames through gates' },
    seed: { byDefault: 1, text: 'seed of the first conversation' },
    steps: { byDefault: 1500, text: 'steps of a conversation' },
    assaults: { byDefault: 6, text: 'attacks with the bytes of each conversation' },
  },
});

/** A conversation in so many is followed by calls to Node. */
const NODE_EVERY = 20;
const NODE_CALLS = 10;
/** What the heap may grow by from its first look to its last, bytes: compiled code and the like. */
const MOST_GROWTH = 8 * 1024 * 1024;
const LOOK_MS = 5000;
/** Frames until everything has been compiled and every pool filled. */
const WARM = 200_000;

const count = { frames: 0, conversations: 0, calls: 0, assaults: 0, ended: 0, byNode: 0 };
const started = performance.now();
let lookAt = started + LOOK_MS;
let firstHeap: number | undefined;
let heap = 0;

async function look(): Promise<void> {
  await collectGarbage();
  heap = process.memoryUsage().heapUsed;
  if (count.frames >= WARM) firstHeap ??= heap;
}

function report(): string {
  const seconds = (performance.now() - started) / 1000;
  const rate = Math.round(count.frames / seconds);
  return `${count.frames} frames, ${rate}/s, ${count.calls} calls compared, ${count.byNode} by Node, ${count.assaults} attacks, of which ${count.ended} ended the connection, heap ${(heap / 1e6).toFixed(1)} MB`;
}

for (let seed = options.seed; count.frames < options.frames; seed += 1) {
  try {
    const deliveries: Delivery[] = [];
    const conversation = new Conversation({
      dice: new Dice(seeded(seed)),
      onDelivery: (delivery) => deliveries.push(delivery),
    });
    for (let step = 0; step < options.steps; step += 1) conversation.step();
    conversation.finish();
    count.frames += conversation.frames;
    count.calls += conversation.compared;
    count.conversations += 1;
    const dice = new Dice(seeded(seed + 0x5eed));
    for (let round = 0; round < options.assaults; round += 1) {
      const found = assault(deliveries, dice, dice.pick([0.001, 0.01, 0.1]));
      count.frames += found.frames;
      count.assaults += 1;
      if (found.over) count.ended += 1;
    }
    if (count.conversations % NODE_EVERY === 0) {
      count.frames += await compareWithNode(dice, NODE_CALLS);
      count.byNode += NODE_CALLS;
    }
  } catch (cause) {
    throw new Error(`found with --seed ${seed} --steps ${options.steps} --assaults ${options.assaults}`, { cause });
  }
  if (performance.now() < lookAt) continue;
  await look();
  if (!options.json) console.log(report());
  lookAt = performance.now() + LOOK_MS;
}
await look();
const grown = heap - (firstHeap ?? heap);
const seconds = (performance.now() - started) / 1000;
console.log(options.json ? JSON.stringify({ ...count, seconds, grown }) : `${report()}\nheap grown by ${grown} bytes`);
if (grown > MOST_GROWTH) throw new Error(`the heap has grown by ${grown} bytes`);
