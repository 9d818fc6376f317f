import { setTimeout as delay } from 'node:timers/promises';
import { readOptions } from './support/options.ts';
import { readHeap, RotatingMesh, type HeapReading } from './support/rotating-mesh.ts';
import { report, rounded, slopeOf } from './support/statistics.ts';

const WHAT = `What a rotation leaves behind. An authority and two sidecars as real processes; their agents call each other all the
time, one stream and one gRPC channel that stay open, so that both sessions live as long as the mesh and go over to each new
certificate. Nothing else happens. At even distances each process collects all garbage and tells what it still holds (heap
and external memory). The slope of that over the rotations is judged, once the first third has filled what is filled once.
Resident memory is told, and not judged: it also holds garbage, and what the allocator keeps for later.`;

const options = readOptions({
  name: 'rotation-memory',
  what: WHAT,
  numbers: {
    minutes: { byDefault: 10, text: 'how long it runs' },
    life: {
      byDefault: 10,
      text: 'life of a certificate, seconds; on a busy machine short ones end before they are renewed',
    },
    samples: { byDefault: 20, text: 'readings of each process' },
  },
});
/** Above it, a sidecar that rotates 16 times a day for a year would have grown by more than 40 MB. */
const KB_PER_ROTATION = 8;
const WARM_UP_SHARE = 1 / 3;

interface Reading extends HeapReading {
  /** Rotations of both sidecars together up to then. */
  readonly rotations: number;
}

const mesh = await RotatingMesh.start(options.life);
const readings = new Map<string, Reading[]>();
for (let sample = 0; sample < options.samples; sample += 1) {
  await delay((options.minutes * 60_000) / options.samples);
  for (const [name, process] of mesh.processes) {
    const reading = { ...(await readHeap(process)), rotations: mesh.rotations().certificates };
    readings.set(name, [...(readings.get(name) ?? []), reading]);
  }
}
const [rotations, { failedCalls, endedSessions }] = [mesh.rotations(), mesh.mishaps()];
await mesh.end();

const rows = [...readings].map(([name, all]) => {
  const judged = all.slice(Math.floor(all.length * WARM_UP_SHARE));
  const slope = slopeOf(judged.map((one) => ({ x: one.rotations, y: (one.heapMb + one.externalMb) * 1024 })));
  const [first, last] = [judged[0], judged.at(-1)];
  return {
    process: name,
    'held at first, MB': first === undefined ? '' : first.heapMb + first.externalMb,
    'held at last, MB': last === undefined ? '' : last.heapMb + last.externalMb,
    'KB a rotation': slope,
    'resident at first, MB': first?.residentMb ?? '',
    'resident at last, MB': last?.residentMb ?? '',
  };
});
report(
  {
    name: 'rotation-memory',
    rows,
    targets: [
      ...rows.map((row) => ({
        claim: `${row.process}: held more after each rotation, KB`,
        measured: row['KB a rotation'],
        limit: KB_PER_ROTATION,
      })),
      // A session that began anew has let go of whatever the one before it held.
      { claim: 'sessions that ended, so that the figures flatter', measured: endedSessions, limit: 0 },
    ],
    notes: [
      `${rotations.certificates} rotations of two sidecars, ${rotations.sessions} times a session went over to one`,
      `${failedCalls} calls failed`,
      `first: after ${rounded(WARM_UP_SHARE * 100)} % of ${options.minutes} minutes; certificates live ${options.life} s`,
    ],
  },
  options,
);
process.exit();
