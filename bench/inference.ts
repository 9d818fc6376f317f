import { parseStrictJsonBytes } from '../src/domain/canonical/strict-json.ts';
import { checkInUse } from '../src/domain/inference/in-use-check.ts';
import { parseModelCall } from '../src/domain/inference/parse-model-call.ts';
import { approved, atRest, Book, functionTool, NOW } from '../test/support/in-use-world.ts';
import { cpuMs } from './support/children.ts';
import { nowMs } from './support/fleet-protocol.ts';
import { InferenceMesh } from './support/inference-mesh.ts';
import { streamOnce, type ModelTarget } from './support/model-stream.ts';
import { readOptions } from './support/options.ts';
import { median, percentile, report } from './support/statistics.ts';

const WHAT = `What the sidecar adds to an agent's calls to its model. "first": from the request to the first event of a streamed
answer of the simulated service, straight to it over TLS 1.3 with a certificate of the agent, and through the sidecar, one
after the other in turn. "chunk": from the moment a server writes a chunk until the client has it, at a steady pace, straight
and through the sidecar (both without TLS to that server, which puts the time into each chunk); alone, and with many streams
at once. "check": reading a request with a prompt of 100 KB and holding it against the baseline, in this process.`;

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
      row('chunk, straight, ms', chunks.direct),
      row('chunk, through the sidecar, ms', chunks.through),
      row(`chunk, straight, ${options.streams} streams, ms`, chunks.manyDirect),
      row(`chunk, through the sidecar, ${options.streams} streams, ms`, chunks.manyThrough),
      row(`CPU of the sidecar a chunk, ${options.streams} streams, ms`, chunks.cpuPerChunk),
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
        measured: median(chunks.through) - median(chunks.direct),
        limit: 0.2,
      },
      { claim: `of ${options.streams} streams at once, failed`, measured: chunks.failed, limit: 0 },
      { claim: 'check of a prompt of 100 KB, ms, median', measured: median(checkMs), limit: 2 },
    ],
    notes: ['client, sidecar and servers share the cores of this machine'],
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

async function chunkDelays() {
  const direct = await mesh.stampingModel(options['pace-ms']);
  const { target: through, pid } = await mesh.sidecarTo(direct.baseUrl);
  const delays = { direct: [] as number[], through: [] as number[] };
  const many = { direct: [] as number[], through: [] as number[] };
  const cpuPerChunk: number[] = [];
  let failed = 0;
  const manyOf = async (target: ModelTarget) => {
    const streams = Array.from({ length: options.streams }, () => delaysOf(target));
    const settled = await Promise.allSettled(streams);
    failed += settled.filter(({ status }) => status === 'rejected').length;
    return settled.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  };
  for (let round = 0; round < options.rounds; round += 1) {
    delays.direct.push(...(await delaysOf(direct)));
    delays.through.push(...(await delaysOf(through)));
    many.direct.push(...(await manyOf(direct)));
    const cpuBefore = cpuMs(pid);
    const carried = await manyOf(through);
    many.through.push(...carried);
    cpuPerChunk.push((cpuMs(pid) - cpuBefore) / carried.length);
  }
  return { ...delays, manyDirect: many.direct, manyThrough: many.through, cpuPerChunk, failed };
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
