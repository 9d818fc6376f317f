import type { ProxyPair } from '../proxies.ts';
import type { Section, Target } from '../statistics.ts';
import { ECHO_PATH, STREAM_PATH } from './backend.ts';
import type { ContenderId, Field } from './contenders.ts';
import { LoadFailed, loadPair, type Load, type LoadResult } from './h2load.ts';
import { inRounds, type Samples } from './rounds.ts';

/** What one part of the benchmark found. */
export interface Findings {
  readonly sections: readonly Section[];
  readonly targets: readonly Target[];
  readonly notes?: readonly string[];
}

export interface LoadPartOptions {
  readonly field: Field;
  readonly running: ReadonlyMap<ContenderId, ProxyPair>;
  readonly rounds: number;
}

const KB = 1024;
const MB = KB * KB;
/** Prefix included. */
const UNARY_BYTES = 100;

/** CPU and rate of small calls, many at once. */
export async function measureCpu(options: LoadPartOptions, calls: number): Promise<Findings> {
  const load = { ...echo(options.field, UNARY_BYTES), connections: 4, streams: 32, calls };
  const { samples, notes } = await measure(options, 'small calls', load);
  const cpuUs = (sample: LoadResult) => (sample.cpuMs * 1000) / calls;
  const rate = (sample: LoadResult) => calls / sample.seconds;
  const target = (id: ContenderId, to: ContenderId, limit: number) => ({
    claim: `CPU a call, ${nameOf(options, id)} ÷ ${nameOf(options, to)}`,
    measured: samples.ratio(id, to, cpuUs),
    limit,
  });
  return {
    sections: [
      {
        title: `CPU: unary calls of ${UNARY_BYTES} bytes, 4 connections × 32 streams, both proxies together`,
        rows: rowsOf(options, (id) => ({
          'CPU µs a call': samples.median(id, cpuUs),
          '÷ HAProxy': samples.ratio(id, 'haproxy', cpuUs),
          '÷ nginx': samples.ratio(id, 'nginx', cpuUs),
          '÷ grpc-js': samples.ratio(id, 'grpc', cpuUs),
          'calls a second': samples.median(id, rate),
        })),
      },
    ],
    targets: [
      target('gate', 'haproxy', 0.75),
      target('shipped', 'haproxy', 1),
      target('shipped', 'nginx', 0.35),
      target('shipped', 'grpc', 0.12),
    ],
    notes,
  };
}

/** How long one small call takes where nothing else goes on. */
export async function measureLatency(options: LoadPartOptions, calls: number): Promise<Findings> {
  const load = { ...echo(options.field, UNARY_BYTES), connections: 1, streams: 1, calls };
  const { samples, notes } = await measure(options, 'one call at a time', load);
  const latency = ({ latencyUs }: LoadResult) => latencyUs;
  const target = (id: ContenderId) => ({
    claim: `median latency, ${nameOf(options, id)} ÷ bare Node tunnel`,
    measured: samples.ratio(id, 'tunnel', latency),
    limit: 1.2,
  });
  return {
    sections: [
      {
        title: `Latency: the same calls, one connection, one at a time`,
        rows: rowsOf(options, (id) => ({
          'median µs': samples.median(id, latency),
          '÷ bare tunnel': samples.ratio(id, 'tunnel', latency),
          'CPU µs a call': samples.median(id, (sample) => (sample.cpuMs * 1000) / calls),
        })),
      },
    ],
    targets: [target('shipped'), target('gate')],
    notes,
  };
}

/** How much goes through in larger pieces. */
export async function measureThroughput(options: LoadPartOptions, megabytes: number): Promise<Findings> {
  const { backend } = options.field;
  const findings = { sections: [] as Section[], targets: [] as Target[], notes: [] as string[] };
  const streams = Math.max(1, Math.round((megabytes * MB) / backend.streamBytes));
  const loads: readonly { what: string; load: Load; without?: ContenderId }[] = [
    { what: 'bodies of 16 KiB, 4 × 32', load: upload(16 * KB, 32) },
    { what: 'bodies of 1 MiB, 4 × 1', load: upload(MB, 1) },
    {
      what: `one answer of ${backend.streamBytes / MB} MiB at a time, 1 × 1`,
      load: { path: STREAM_PATH, answerBytes: backend.streamBytes, connections: 1, streams: 1, calls: streams },
      // What comes is no gRPC messages.
      without: 'grpc',
    },
  ];
  for (const { what, load, without } of loads) {
    const running = new Map([...options.running].filter(([id]) => id !== without));
    const { samples, notes } = await measure({ ...options, running }, what, load);
    findings.notes.push(...notes);
    const carriedMb = (load.calls * load.answerBytes) / 1e6;
    const speed = ({ seconds }: LoadResult) => carriedMb / seconds;
    findings.sections.push({
      title: `Throughput: ${what}${load.bodyFile === undefined ? '' : ', echoed; MB are counted one way'}`,
      rows: rowsOf({ ...options, running }, (id) => ({
        'MB/s': samples.median(id, speed),
        '÷ HAProxy': samples.ratio(id, 'haproxy', speed),
        'CPU ms a MB': samples.median(id, (sample) => sample.cpuMs / carriedMb),
      })),
    });
    findings.targets.push({
      claim: `throughput (aim: 1.2), ${what}, ${nameOf(options, 'shipped')} ÷ HAProxy`,
      measured: samples.ratio('shipped', 'haproxy', speed),
      limit: 1,
      bound: 'least',
    });
  }
  return findings;

  function upload(bytes: number, atOnce: number): Load {
    const calls = Math.ceil((megabytes * MB) / bytes);
    return { ...echo(options.field, bytes), connections: 4, streams: atOnce, calls };
  }
}

function echo({ backend }: Field, bytes: number) {
  return { path: ECHO_PATH, bodyFile: backend.messageFile(bytes), answerBytes: bytes };
}

/** Ours must carry every load; of the others a load that fails is repeated, and told. */
const MUST_CARRY: ReadonlySet<ContenderId> = new Set(['shipped', 'logged', 'gate', 'tunnel']);
const ATTEMPTS = 3;

interface Measured {
  readonly samples: Samples<LoadResult>;
  readonly notes: readonly string[];
}

async function measure({ field, running, rounds }: LoadPartOptions, what: string, load: Load): Promise<Measured> {
  const failures = new Map<string, number>();
  const samples = await inRounds(rounds, running, async (pair, id) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await loadPair(pair, load, field.folder);
      } catch (error) {
        if (!(error instanceof LoadFailed) || MUST_CARRY.has(id) || attempt === ATTEMPTS) throw error;
        failures.set(pair.name, (failures.get(pair.name) ?? 0) + 1);
      }
    }
  });
  const notes = [...failures].map(
    ([name, times]) => `${name} lost calls in ${times} runs of "${what}", which were repeated`,
  );
  return { samples, notes };
}

function rowsOf({ running }: LoadPartOptions, row: (id: ContenderId) => Readonly<Record<string, number>>) {
  return [...running].map(([id, { name }]) => ({ proxies: name, ...row(id) }));
}

function nameOf({ running }: LoadPartOptions, id: ContenderId): string {
  return running.get(id)?.name ?? id;
}
