import { writeFileSync } from 'node:fs';
import { memoryMb, pause } from '../children.ts';
import type { ProxyPair } from '../proxies.ts';
import type { ContenderId, Field } from './contenders.ts';
import type { Findings } from './load-parts.ts';
import { RawStream } from './raw-stream.ts';
import { Samples } from './rounds.ts';

export interface StalledPartOptions {
  readonly field: Field;
  readonly rounds: number;
}

/** The most that each process grew by while the reader stalled, and while it then read all of it, MB. */
interface Growth {
  readonly stalled: readonly [number, number];
  readonly reading: readonly [number, number];
}

const COMPARED: ReadonlySet<ContenderId> = new Set(['shipped', 'gate', 'tunnel', 'haproxy']);
const STALL_MS = 3000;
/** What fits into buffers of two processes whose readers wait; the answer is many times that. */
const LIMIT_MB = 16;

/** A long answer to a reader that opens every window of HTTP/2 and then takes nothing from its socket. */
export async function measureStalled({ field, rounds }: StalledPartOptions): Promise<Findings> {
  const contenders = field.contenders.filter(({ id }) => COMPARED.has(id));
  const samples = new Samples<Growth>();
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of contenders) {
      const pair = await contender.start();
      samples.add(contender.id, await growthOf(pair, field.backend.streamBytes));
      await pair.stop();
    }
  }
  const of = (id: ContenderId, phase: keyof Growth, side: 0 | 1) => samples.median(id, (sample) => sample[phase][side]);
  return {
    sections: [
      {
        title: `Stalled reader: an answer of ${field.backend.streamBytes / 1024 / 1024} MiB, highest growth of resident memory, MB`,
        rows: contenders.map(({ id, name }) => ({
          proxies: name,
          "stalled, caller's side": of(id, 'stalled', 0),
          "stalled, callee's side": of(id, 'stalled', 1),
          "then read, caller's side": of(id, 'reading', 0),
          "then read, callee's side": of(id, 'reading', 1),
        })),
      },
    ],
    targets: ([0, 1] as const).map((side) => ({
      claim: `MB that the ${side === 0 ? 'caller' : 'callee'}'s sidecar grew by while the reader stalled`,
      measured: of('shipped', 'stalled', side),
      limit: LIMIT_MB,
    })),
  };
}

async function growthOf(pair: ProxyPair, bytes: number): Promise<Growth> {
  // What the process grows by because it has never done this is not what a stall costs.
  await (await RawStream.open(pair.port)).readAll(bytes);
  const before = peaksReset(pair);
  const stream = await RawStream.open(pair.port);
  await pause(STALL_MS);
  const stalled = growth(pair, before);
  const again = peaksReset(pair);
  await stream.readAll(bytes);
  return { stalled, reading: growth(pair, again) };
}

/** Forgets the highest memory there ever was. @returns what it is now, MB */
function peaksReset({ pids }: ProxyPair): readonly [number, number] {
  const one = (pid: number) => {
    // 5: proc_pid_clear_refs(5), the peak resident set size starts anew.
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    return memoryMb(pid).now;
  };
  return [one(pids[0]), one(pids[1])];
}

function growth({ pids }: ProxyPair, before: readonly [number, number]): readonly [number, number] {
  const one = (side: 0 | 1) => Math.max(0, memoryMb(pids[side]).peak - before[side]);
  return [one(0), one(1)];
}
