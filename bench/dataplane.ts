import { checkFairness, decidesCalls } from './support/dataplane/self-check.ts';
import { openField, type ContenderId } from './support/dataplane/contenders.ts';
import { measureIdle } from './support/dataplane/idle-part.ts';
import { measureCpu, measureLatency, measureThroughput, type Findings } from './support/dataplane/load-parts.ts';
import { measureStalled } from './support/dataplane/stalled-part.ts';
import { readOptions } from './support/options.ts';
import type { ProxyPair } from './support/proxies.ts';
import { report } from './support/statistics.ts';

const WHAT = `The data plane: h2load → proxy → proxy → nghttpd, mutually authenticated TLS 1.3 between the two proxies (P-256),
plaintext HTTP/2 at both ends, gRPC calls that are echoed. Our sidecars, as users start them, with grants that name the
calls; our data plane alone in two bare Node processes, permitting everything; a bare tunnel of Node, HAProxy, nginx and a
generic proxy of grpc-js: one process and one thread each. CPU is user and system time of both proxies. Each contender
runs once a round, each round begins with another; figures are medians of the rounds, ratios medians of the rounds' ratios.
That every pair refuses a client without the right certificate is checked first.`;

const options = readOptions({
  name: 'dataplane',
  what: WHAT,
  numbers: {
    rounds: { byDefault: 5, text: 'rounds, after one to warm up' },
    calls: { byDefault: 30_000, text: 'calls in a round, 4 connections × 32 streams' },
    'calls-1x1': { byDefault: 3000, text: 'calls in a round, one at a time' },
    megabytes: { byDefault: 32, text: 'MiB of bodies in a round' },
    'stream-mb': { byDefault: 100, text: 'MiB of the long answer' },
    connections: { byDefault: 1000, text: 'idle connections' },
  },
  parts: {
    cpu: 'CPU and rate of small calls, many at once',
    latency: 'latency of small calls, one at a time',
    throughput: 'bodies of 16 KiB and 1 MiB, and a long answer',
    idle: 'memory of idle connections',
    stalled: 'memory while a reader stalls',
  },
});

const { rounds } = options;
const field = await openField(options['stream-mb'] * 1024 * 1024);
const running = new Map<ContenderId, ProxyPair>();
for (const contender of field.contenders) running.set(contender.id, await contender.start());
const notes = await checkFairness(field, running);
const shipped = running.get('shipped');
const undecided = shipped === undefined || !(await decidesCalls(shipped));
if (!field.sidecars.features.accessLog) notes.push('these sidecars have no access log');

const load = { field, running, rounds };
const parts: Readonly<Record<(typeof options.only)[number], () => Promise<Findings>>> = {
  cpu: () => measureCpu(load, options.calls),
  latency: () => measureLatency(load, options['calls-1x1']),
  throughput: () => measureThroughput(load, options.megabytes),
  idle: () => measureIdle({ field, rounds, connections: options.connections }),
  stalled: () => measureStalled({ field, rounds }),
};
const findings: Findings[] = [];
for (const part of options.only) {
  const startedAt = performance.now();
  findings.push(await parts[part]());
  // A run of everything takes a while, and its tables come last.
  if (!options.json) console.log(`… ${part}: done in ${Math.round((performance.now() - startedAt) / 1000)} s`);
}
if (!options.json) console.log('');

await Promise.all([...running.values()].map((pair) => pair.stop()));
await field.stop();
report(
  {
    name: 'dataplane',
    sections: findings.flatMap(({ sections }) => sections),
    targets: [
      { claim: 'calls that no grant names, and that came through', measured: undecided ? 1 : 0, limit: 0 },
      ...findings.flatMap(({ targets }) => targets),
    ],
    notes: [...notes, ...findings.flatMap((found) => found.notes ?? [])],
  },
  options,
);
process.exit();
