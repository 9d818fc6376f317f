import { parseStrictJsonBytes } from '../src/domain/canonical/strict-json.ts';
import { checkInUse } from '../src/domain/inference/in-use-check.ts';
import { parseModelCall } from '../src/domain/inference/parse-model-call.ts';
import { approved, atRest, Book, functionTool, NOW } from '../test/support/in-use-world.ts';
import { cpuMs } from './support/children.ts';
import { nowMs } from './support/fleet-protocol.ts';
import { InferenceMesh, type Measured } from './support/inference-mesh.ts';
import { streamOnce, type ModelTarget } from './support/model-stream.ts';
import { readOptions } from './support/options.ts';
import { median, percentile, report, rounded } from './support/statistics.ts';

const WHAT = `What the sidecar adds to an agent's calls to its model. "first": from the request to the first event of a streamed
answer of the simulated service, straight to it over TLS 1.3 with a certificate of the agent, and through the sidecar, one
after the other in turn. "chunk": from the moment a server writes a chunk until the client has it, at a steady pace, straight
through the sidecar, and through a bare proxy of node:http that checks nothing (all without TLS to that server, which puts
the time into each chunk); alone, and with many streams at once; each path has carried one stream before. "check": reading a request with a prompt of 100 KB and holding it against the baseline, in this process.`;

const options = readOptions({
  name: 'inference',
  what: WHAT,
  numbers: {
    calls: { byDefault: 200, text: 'calls of each kind for the first event' },
    rounds: { byDefault: 5, text: 'rounds of everything else' },
    streams: { byDefault: 200, text: 'streams at once' },
    'pace-ms': { byDefault: 20, text: 'between two chunks of a stream' },
  },
});
const WARM_UP = 30;
const CHECKS = 200;

const mesh = new InferenceMesh();
await mesh.up();
const first = await firstEvents();
const chunks = await chunkDelays();
const checkMs = inUseChecks();
await mesh.stop();

report(
  {
    name: 'inference',
    rows: [
      row('first event, straight, ms', first.direct),
      row('first event, through the sidecar, ms', first.through),
      ...chunks.ways.map(({ name, alone }) => row(`chunk, ${name}, ms`, alone)),
      ...chunks.ways.map(({ name, many }) => row(`chunk, ${name}, ${options.streams} streams, ms`, many)),
      ...chunks.proxies.map(({ name, cpuPerChunk }) =>
        row(`CPU a chunk, ${name}, ${options.streams} streams, ms`, cpuPerChunk),
      ),
      row('check of a prompt of 100 KB, ms', checkMs),
    ],
    targets: [
      {
        claim: 'added to the first event, ms, median',
        measured: median(first.through) - median(first.direct),
        limit: 3,
      },
      {
        claim: 'added to a chunk, ms, median',
        measured: chunks.added,
        limit: 0.2,
      },
      { claim: `of ${options.streams} streams at once, failed`, measured: chunks.failed, limit: 0 },
      { claim: 'check of a prompt of 100 KB, ms, median', measured: median(checkMs), limit: 2 },
    ],
    notes: [
      `a bare proxy adds ${rounded(chunks.addedByBare)} ms to a chunk, the sidecar ${rounded(chunks.added / chunks.addedByBare)} times that`,
      'client, proxies and servers share the cores of this machine',
    ],
  },
  options,
);
process.exit();

function row(what: string, values: readonly number[]) {
  return { what, median: median(values), p99: percentile(values, 0.99), of: values.length };
}

/** Straight and through the sidecar in turn, so that what disturbs the one disturbs the other. */
async function firstEvents() {
  const [direct, { target: through }] = [await mesh.direct(), await mesh.sidecarToService()];
  const times = { direct: [] as number[], through: [] as number[] };
  for (let call = -WARM_UP; call < options.calls; call += 1) {
    const straight = await streamOnce(direct, mesh.call);
    const carried = await streamOnce(through, mesh.call);
    if (call < 0) continue;
    times.direct.push(straight.firstMs);
    times.through.push(carried.firstMs);
  }
  return times;
}

/** One way for chunks to go, and what became of them. */
interface Way extends Measured {
  readonly name: string;
  /** Delays of one stream after the other, and of many at once, ms. */
  readonly alone: number[];
  readonly many: number[];
  /** Of the process that the client talks to, ms; one a round. */
  readonly cpuPerChunk: number[];
}

/** Each way in turn, so that what disturbs the one disturbs the others. */
async function chunkDelays() {
  const model = await mesh.stampingModel(options['pace-ms']);
  const straight = way('straight', model);
  const sidecar = way('through the sidecar', await mesh.sidecarTo(model.target.baseUrl));
  const bare = way('through a bare proxy', await mesh.bareProxyTo(model.target.baseUrl));
  const ways = [straight, sidecar, bare];
  let failed = 0;
  for (const { target } of ways) await streamOnce(target, mesh.call);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const { target, alone } of ways) alone.push(...(await delaysOf(target)));
    for (const { target, pid, many, cpuPerChunk } of ways) {
      const cpuBefore = cpuMs(pid);
      const settled = await Promise.allSettled(Array.from({ length: options.streams }, () => delaysOf(target)));
      const carried = settled.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
      failed += settled.filter(({ status }) => status === 'rejected').length;
      many.push(...carried);
      cpuPerChunk.push((cpuMs(pid) - cpuBefore) / carried.length);
    }
  }
  const added = ({ alone }: Way) => median(alone) - median(straight.alone);
  return { ways, proxies: [sidecar, bare], failed, added: added(sidecar), addedByBare: added(bare) };
}

function way(name: string, measured: Measured): Way {
  return { ...measured, name, alone: [], many: [], cpuPerChunk: [] };
}

/** How long each chunk of one stream took to arrive, ms. */
async function delaysOf(target: ModelTarget): Promise<number[]> {
  const origin = nowMs() - performance.now();
  const { chunks } = await streamOnce(target, mesh.call);
  return chunks.map(({ at, text }) => at + origin - Number(text));
}

function inUseChecks(): number[] {
  const book = new Book();
  const prompt = 'Answer from the documents you were given, and cite them.\n'.repeat(1800);
  const tools = ['search', 'fetch', 'summarise'].map((name) => functionTool(name));
  const tuple = book.tuple({ prompts: { main: [prompt] }, tools, model: 'large' });
  const world = { measurement: atRest(tuple), baselines: [approved('b1', tuple)], now: NOW, book };
  const messages = [
    { role: 'system', content: prompt },
    { role: 'user', content: 'hello' },
  ];
  const bytes = Buffer.from(JSON.stringify({ model: 'large', messages, tools }));
  return Array.from({ length: CHECKS }, () => {
    const startedAt = performance.now();
    const verdict = checkInUse(parseModelCall('chat_completions', parseStrictJsonBytes(bytes)), world);
    const ms = performance.now() - startedAt;
    if (!verdict.matches) throw new Error(verdict.rejection.detail);
    return ms;
  });
}
