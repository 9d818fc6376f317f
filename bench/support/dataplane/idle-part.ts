import { connect, type ClientHttp2Session } from 'node:http2';
import { memoryMb, pause } from '../children.ts';
import type { ProxyPair } from '../proxies.ts';
import { rounded } from '../statistics.ts';
import type { Contender, ContenderId, Field } from './contenders.ts';
import type { Findings } from './load-parts.ts';
import { Samples } from './rounds.ts';
import type { SidecarPair } from './sidecar-pairs.ts';
import { callOnce, isWhole } from './single-call.ts';

export interface IdlePartOptions {
  readonly field: Field;
  readonly rounds: number;
  readonly connections: number;
}

/** What one idle connection takes of each of the two processes, KB of resident memory. */
interface PerConnection {
  readonly caller: number;
  readonly callee: number;
}

const COMPARED: ReadonlySet<ContenderId> = new Set(['shipped', 'gate', 'tunnel', 'haproxy', 'nginx']);
const WARM_UP = 20;
const LANES = 20;
const KB = 1024;
const LIMIT_KB = 100;

/** Resident memory before and after many connections were opened, each of which made one call; fresh processes each time. */
export async function measureIdle(options: IdlePartOptions): Promise<Findings> {
  const { field, rounds, connections } = options;
  const contenders = field.contenders.filter(({ id }) => COMPARED.has(id));
  const samples = new Samples<PerConnection>();
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of contenders) samples.add(contender.id, await perConnection(contender, connections));
  }
  const caller = ({ caller: kb }: PerConnection) => kb;
  const callee = ({ callee: kb }: PerConnection) => kb;
  const both = (one: PerConnection) => one.caller + one.callee;
  const madeOf = await compositionOf(options);
  return {
    sections: [
      {
        title: `Memory: ${connections} idle connections, KB of resident memory for each`,
        rows: contenders.map(({ id, name }) => ({
          proxies: name,
          "caller's side": samples.median(id, caller),
          "callee's side": samples.median(id, callee),
          together: samples.median(id, both),
        })),
      },
      {
        title: 'What it is made of, sidecars as shipped, after a full garbage collection, KB a connection',
        rows: madeOf,
      },
    ],
    targets: [
      {
        claim: "KB an idle connection, caller's sidecar",
        measured: samples.median('shipped', caller),
        limit: LIMIT_KB,
      },
      {
        claim: "KB an idle connection, callee's sidecar",
        measured: samples.median('shipped', callee),
        limit: LIMIT_KB,
      },
    ],
    notes: [
      'an idle connection: two sockets in each process, of which one has TLS; the buffers of the kernel are not counted',
      'HAProxy and nginx keep no connection between them for each of the caller',
    ],
  };
}

async function perConnection(contender: Contender, connections: number): Promise<PerConnection> {
  const pair = await contender.start();
  const close = await openConnections(pair, WARM_UP);
  await close();
  const before = await settledKb(pair);
  const closeAll = await openConnections(pair, connections);
  const after = await settledKb(pair);
  await closeAll();
  await pair.stop();
  const each = (side: 0 | 1) => (after[side] - before[side]) / connections;
  return { caller: each(0), callee: each(1) };
}

/** The heap and what hangs on it are told by the process itself; what is left is OpenSSL's, libuv's and the allocator's. */
async function compositionOf({ field, connections }: IdlePartOptions) {
  const pair = await field.sidecars.pair({ name: 'probed', backend: field.backend.port, probed: true });
  const close = await openConnections(pair, WARM_UP);
  await close();
  const before = await probe(pair);
  const closeAll = await openConnections(pair, connections);
  const after = await probe(pair);
  await closeAll();
  await pair.stop();
  return (['caller', 'callee'] as const).map((side) => {
    const kb = (what: 'rss' | 'heapUsed' | 'external') => (after[side][what] - before[side][what]) / KB / connections;
    return {
      sidecar: `of the ${side}`,
      'V8 heap': kb('heapUsed'),
      'buffers and what native code reports': kb('external'),
      'native (OpenSSL, libuv, allocator)': rounded(kb('rss') - kb('heapUsed') - kb('external')),
      all: kb('rss'),
    };
  });
}

interface Probed {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}

async function probe({ sidecars }: SidecarPair): Promise<{ caller: Probed; callee: Probed }> {
  const one = async (sidecar: SidecarPair['sidecars'][number]) => {
    const answer = sidecar.event('heap_probe');
    sidecar.kill('SIGUSR2');
    return (await answer) as unknown as Probed;
  };
  const [caller, callee] = await Promise.all([one(sidecars[0]), one(sidecars[1])]);
  return { caller, callee };
}

/** Opens so many connections, each with one call made and answered. @returns what closes them all */
async function openConnections({ port, name }: ProxyPair, connections: number): Promise<() => Promise<void>> {
  const sessions: ClientHttp2Session[] = [];
  let left = connections;
  let closing = false;
  const lane = async () => {
    while (left-- > 0) {
      const session = connect(`http://127.0.0.1:${port}`);
      session.once('close', () => {
        if (!closing) throw new Error(`${name} closed an idle connection`);
      });
      sessions.push(session);
      const answer = await callOnce(session);
      if (!isWhole(answer)) throw new Error(`${name}: a call on a new connection failed: ${JSON.stringify(answer)}`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return async () => {
    closing = true;
    await Promise.all(
      sessions.map(
        (session) =>
          new Promise<void>((resolve) => {
            session.once('close', resolve).close();
          }),
      ),
    );
  };
}

const STEADY_KB = 64;
const STEADY_READS = 4;
const BETWEEN_MS = 250;
const WITHIN_MS = 15_000;

/** Resident memory of both once it has stopped changing, KB; as it is when it never does. */
async function settledKb({ pids }: ProxyPair): Promise<[number, number]> {
  const read = (): [number, number] => [memoryMb(pids[0]).now * KB, memoryMb(pids[1]).now * KB];
  const until = performance.now() + WITHIN_MS;
  let last = read();
  for (let steady = 0; steady < STEADY_READS && performance.now() < until;) {
    await pause(BETWEEN_MS);
    const next = read();
    const isSteady = Math.abs(next[0] - last[0]) < STEADY_KB && Math.abs(next[1] - last[1]) < STEADY_KB;
    steady = isSteady ? steady + 1 : 0;
    last = next;
  }
  return last;
}
