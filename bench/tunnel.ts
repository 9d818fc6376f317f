import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createCertificates } from './support/certificates.ts';
import { Child, cpuMs, findProgram, freePort, listening } from './support/children.ts';
import { BenchMesh, peerListen, sidecarCommand } from './support/mesh.ts';
import { readOptions } from './support/options.ts';
import {
  haproxyHttp,
  haproxyTcp,
  nginxHasStream,
  nginxHttp,
  nginxStream,
  type PairInput,
  type ProxyPair,
} from './support/proxies.ts';
import { median, ratioOf, report } from './support/statistics.ts';

const WHAT = `The data path: h2load → proxy → proxy → nghttpd, mutually authenticated TLS 1.3 between the proxies (P-256, no
tickets), plaintext HTTP/2 at both ends, a 64-byte POST that is echoed. Sidecars against HAProxy and nginx, one process and
one thread each. CPU is user and system time of both proxies; latency is the median over all calls. Rounds take turns.`;

const options = readOptions({
  name: 'tunnel',
  what: WHAT,
  numbers: {
    rounds: { byDefault: 5, text: 'rounds, after one to warm up' },
    calls: { byDefault: 16_000, text: 'calls in a round with 4 connections × 32 streams; an eighth of it with 1 × 1' },
  },
});
const SHAPES = [
  { shape: '1×1', args: ['-c1', '-m1'], calls: Math.max(1, Math.round(options.calls / 8)) },
  { shape: '4×32', args: ['-c4', '-m32'], calls: options.calls },
] as const;

const h2load = findProgram('h2load', 'nghttp2-client');
const nghttpd = findProgram('nghttpd', 'nghttp2-server');
const mesh = new BenchMesh();
const { folder } = mesh;
const backend = await freePort();
const server = new Child(
  [nghttpd, '--no-tls', '--echo-upload', '--workers=1', '--address=127.0.0.1', String(backend)],
  folder,
);
await listening(backend);
const input: PairInput = { folder, files: createCertificates(folder), backend };
const pairs = [
  await sidecars(),
  await haproxyTcp(input),
  await haproxyHttp(input),
  ...(nginxHasStream() ? [await nginxStream(input)] : []),
  await nginxHttp(input),
];
const body = join(folder, 'body');
writeFileSync(body, 'x'.repeat(64));

interface Sample {
  readonly cpuUs: number;
  readonly latencyUs: number;
}
const samples = new Map<string, Sample[]>();
for (let round = -1; round < options.rounds; round += 1) {
  for (const { shape, args, calls } of SHAPES) {
    for (const pair of pairs) {
      const sample = await load(pair, args, calls);
      const key = `${shape} ${pair.name}`;
      if (round >= 0) samples.set(key, [...(samples.get(key) ?? []), sample]);
    }
  }
}
void server.stop();

const own = pairs[0]?.name ?? '';
report(
  {
    name: 'tunnel',
    rows: SHAPES.flatMap(({ shape }) =>
      pairs.map(({ name }) => ({
        streams: shape,
        proxies: name,
        'CPU µs a call': median(of(shape, name, 'cpuUs')),
        'ours ÷ this, CPU': ratio(shape, name, 'cpuUs'),
        'median latency µs': median(of(shape, name, 'latencyUs')),
        'ours ÷ this, latency': ratio(shape, name, 'latencyUs'),
      })),
    ),
    targets: [],
    notes: [
      "ratios are medians of the rounds' ratios; below 1 ours is cheaper",
      'our tunnel and the TCP and stream modes copy bytes; the HTTP/2 modes read every call',
      ...(nginxHasStream() ? [] : ['nginx in stream mode is left out: apt-get install libnginx-mod-stream']),
    ],
  },
  options,
);
process.exit();

function of(shape: string, name: string, what: keyof Sample): number[] {
  return (samples.get(`${shape} ${name}`) ?? []).map((sample) => sample[what]);
}

function ratio(shape: string, name: string, what: keyof Sample): number {
  return ratioOf(of(shape, own, what), of(shape, name, what));
}

async function load({ name, port, pids }: ProxyPair, args: readonly string[], calls: number): Promise<Sample> {
  const log = join(folder, 'h2load.log');
  writeFileSync(log, '');
  const cpu = () => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const before = cpu();
  const run = [...args, '-t1', `-n${calls}`, `-d${body}`, `--log-file=${log}`, `http://127.0.0.1:${port}/`];
  const { stdout } = await promisify(execFile)(h2load, run);
  const used = cpu() - before;
  if (!stdout.includes(`${calls} succeeded`)) throw new Error(`${name}: not every call succeeded:\n${stdout}`);
  const latencies = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => Number(line.split('\t')[2]));
  return { cpuUs: (used * 1000) / calls, latencyUs: median(latencies) };
}

async function sidecars(): Promise<ProxyPair> {
  await mesh.start(['caller', 'callee'], { caller: ['callee'] });
  const start = async (config: string) => {
    const child = new Child(sidecarCommand(config), folder);
    return { child, ready: await child.event('sidecar_ready') };
  };
  const callee = await start(mesh.sidecarConfig('callee', { app: { address: `127.0.0.1:${backend}` } }));
  const peers = [{ agent: 'callee', listen: '127.0.0.1:0', address: String(callee.ready['inbound']) }];
  const caller = await start(mesh.sidecarConfig('caller', { peers }));
  const portOf = (address: string) => Number(address.split(':').at(-1));
  return {
    name: 'ait sidecars',
    port: portOf(peerListen(caller.ready, 'callee')),
    between: portOf(String(callee.ready['inbound'])),
    pids: [caller.child.pid, callee.child.pid],
    stop: async () => void (await Promise.all([caller.child.stop(), callee.child.stop()])),
  };
}
