import { inRounds } from './support/dataplane/rounds.ts';
import type { ContenderId } from './support/dataplane/contenders.ts';
import type { Findings } from './support/dataplane/load-parts.ts';
import type { LoadResult } from './support/dataplane/h2load.ts';
import { delayOfEvents } from './support/http1/events.ts';
import { checkHttp1Fairness, decidesRequests } from './support/http1/fairness.ts';
import { openHttp1Field } from './support/http1/field.ts';
import { loadHttp1 } from './support/http1/load.ts';
import { readOptions } from './support/options.ts';
import { median, report, type Target } from './support/statistics.ts';

const WHAT = `HTTP/1.1: h2load → proxy → proxy → a plain server, mutually authenticated TLS 1.3 between the two proxies (P-256),
POSTs of 100 bytes of JSON that are answered with as many, connections kept. Our sidecars, as users start them, with grants
that name the calls; our data plane alone in two bare Node processes, permitting everything; a pair of proxies written with
node:http, HAProxy and nginx: one process and one thread each. CPU is user and system time of both proxies. Server-sent
events: from the writing of an event to its arrival. Each contender runs once a round, each round begins with another;
figures are medians of the rounds, ratios medians of the rounds' ratios.`;

const PACE_MS = 5;

const options = readOptions({
  name: 'http1',
  what: WHAT,
  numbers: {
    rounds: { byDefault: 5, text: 'rounds, after one to warm up' },
    calls: { byDefault: 20_000, text: 'calls in a round, over 16 connections' },
    'calls-1': { byDefault: 3000, text: 'calls in a round, over one connection' },
    events: { byDefault: 200, text: 'server-sent events in a round' },
  },
  parts: {
    cpu: 'CPU and rate of small calls, over 16 connections',
    latency: 'latency of small calls, one at a time',
    events: 'what is added to the delay of a server-sent event',
  },
});
const { rounds } = options;
const field = await openHttp1Field({ count: options.events, paceMs: PACE_MS });
const { running, folder } = field;
const notes = await checkHttp1Fairness(field);
const shipped = running.get('shipped');
const undecided = shipped === undefined || !(await decidesRequests(shipped));

const parts: Readonly<Record<(typeof options.only)[number], () => Promise<Findings>>> = {
  cpu: measureCpu,
  latency: measureLatency,
  events: measureEvents,
};
const findings: Findings[] = [];
for (const part of options.only) findings.push(await parts[part]());
await field.stop();
report(
  {
    name: 'http1',
    sections: findings.flatMap(({ sections }) => sections),
    targets: [
      { claim: 'calls that no grant names, and that came through', measured: undecided ? 1 : 0, limit: 0 },
      ...findings.flatMap(({ targets }) => targets),
    ],
    notes,
  },
  options,
);
process.exit();

async function measureCpu(): Promise<Findings> {
  const { calls } = options;
  const samples = await inRounds(rounds, running, (pair) => loadHttp1(pair, { connections: 16, calls, folder }));
  const cpuUs = (sample: LoadResult) => (sample.cpuMs * 1000) / calls;
  const target = (id: ContenderId, to: ContenderId, limit: number): Target => ({
    claim: `CPU a call, ${nameOf(id)} ÷ ${nameOf(to)}`,
    measured: samples.ratio(id, to, cpuUs),
    limit,
  });
  return {
    sections: [
      {
        title: 'CPU: 100 bytes of JSON each way, 16 connections that are kept, both proxies together',
        rows: [...running].map(([id, { name }]) => ({
          proxies: name,
          'CPU µs a call': samples.median(id, cpuUs),
          '÷ HAProxy': samples.ratio(id, 'haproxy', cpuUs),
          '÷ nginx': samples.ratio(id, 'nginx', cpuUs),
          '÷ plain node:http': samples.ratio(id, 'plain', cpuUs),
          'calls a second': samples.median(id, (sample) => calls / sample.seconds),
        })),
      },
    ],
    targets: [target('shipped', 'haproxy', 2.5), target('shipped', 'plain', 1)],
  };
}

async function measureLatency(): Promise<Findings> {
  const calls = options['calls-1'];
  const samples = await inRounds(rounds, running, (pair) => loadHttp1(pair, { connections: 1, calls, folder }));
  const latency = ({ latencyUs }: LoadResult) => latencyUs;
  return {
    sections: [
      {
        title: 'Latency: the same calls, one connection, one at a time',
        rows: [...running].map(([id, { name }]) => ({
          proxies: name,
          'median µs': samples.median(id, latency),
          '÷ HAProxy': samples.ratio(id, 'haproxy', latency),
          '÷ plain node:http': samples.ratio(id, 'plain', latency),
          'CPU µs a call': samples.median(id, (sample) => (sample.cpuMs * 1000) / calls),
        })),
      },
    ],
    targets: [],
  };
}

async function measureEvents(): Promise<Findings> {
  const samples = await inRounds(rounds, running, async (pair) => ({
    delayMs: await delayOfEvents(pair.port),
    directMs: await delayOfEvents(field.backend),
  }));
  const addedMs = (id: ContenderId) => median(samples.all(id, ({ delayMs, directMs }) => delayMs - directMs));
  return {
    sections: [
      {
        title: `Server-sent events, one each ${PACE_MS} ms: from writing to arrival, median`,
        rows: [...running].map(([id, { name }]) => ({
          proxies: name,
          'delay ms': samples.median(id, ({ delayMs }) => delayMs),
          'without proxies ms': samples.median(id, ({ directMs }) => directMs),
          'added ms': addedMs(id),
        })),
      },
    ],
    targets: [{ claim: `delay added to an event, ${nameOf('shipped')}, ms`, measured: addedMs('shipped'), limit: 0.3 }],
  };
}

function nameOf(id: ContenderId): string {
  return running.get(id)?.name ?? id;
}
