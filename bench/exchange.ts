import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { rejection } from '../src/domain/rejection.ts';
import { loadMeasureConfig, measureOnce } from '../src/cli/baseline/measure-once.ts';
import { dialExchange } from '../src/sidecar/exchange/dialler.ts';
import { pause } from './support/children.ts';
import { createEmptyStream } from './support/empty-stream.ts';
import { BenchMesh } from './support/mesh.ts';
import { readOptions } from './support/options.ts';
import { createSpeaker, type Speaker } from './support/speaker.ts';
import { median, report } from './support/statistics.ts';

const WHAT = `CPU of a whole exchange (fresh mTLS connection, tokens and proofs both ways, admission on both sides, session
accepted, then closed) against an empty grpc-js bidirectional stream on a fresh mTLS connection (open, end, status OK,
closed). Both sides of both in this process, same certificates, TLS 1.3, no tickets, the same channel options; rounds
take turns. "first contact": the peers' tokens are verified anew each time; "known peer": they are remembered.`;

const options = readOptions({
  name: 'exchange',
  what: WHAT,
  numbers: {
    rounds: { byDefault: 15, text: 'rounds, after one to warm up' },
    connections: { byDefault: 120, text: 'connections in each round, of each kind' },
    parallel: { byDefault: 4, text: 'of them at a time' },
  },
});

const mesh = new BenchMesh();
await mesh.start(['caller', 'callee'], { caller: ['callee'] });
const [caller, callee] = [await speaker('caller'), await speaker('callee')];
await mesh.stop();
const empty = await createEmptyStream({ client: caller.identity.current.tls, server: callee.identity.current.tls });

const kinds = {
  'empty grpc-js stream': () => empty.once(),
  'exchange, first contact': () => exchange(true),
  'exchange, known peer': () => exchange(false),
};
type Kind = keyof typeof kinds;
const cpu = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []])) as unknown as Record<Kind, number[]>;
for (let round = -1; round < options.rounds; round += 1) {
  for (const [kind, once] of Object.entries(kinds)) {
    const ms = await cpuOfRound(once);
    if (round >= 0) cpu[kind as Kind].push(ms);
  }
}
await Promise.all([empty.stop(), caller.stop(), callee.stop()]);

const base = cpu['empty grpc-js stream'];
const ratioOf = (kind: Kind) => median(cpu[kind].map((ms, round) => ms / (base[round] ?? Number.NaN)));
report(
  {
    name: 'exchange',
    rows: (Object.keys(kinds) as Kind[]).map((kind) => ({
      kind,
      'CPU ms each, median': median(cpu[kind]),
      lowest: Math.min(...cpu[kind]),
      'ratio, median of rounds': ratioOf(kind),
    })),
    targets: [
      {
        claim: 'CPU of an exchange, first contact, over an empty stream',
        measured: ratioOf('exchange, first contact'),
        limit: 1.75,
      },
    ],
  },
  options,
);

async function speaker(name: string): Promise<Speaker> {
  const { folder, credential } = mesh.agent(name);
  const stateDir = join(folder, 'state');
  mkdirSync(stateDir);
  const { measurement } = await measureOnce(loadMeasureConfig(join(folder, 'measure.yaml')));
  return createSpeaker({ credential, measurement, stateDir, listens: true });
}

async function exchange(first: boolean): Promise<void> {
  if (first) for (const { trust } of [caller, callee]) trust.verifier.flush();
  const target = { peer: callee.deps.self, address: callee.address };
  const dialled = await dialExchange(target, caller.deps);
  if (!dialled.ok) throw new Error(`${dialled.cause.code}: ${dialled.cause.detail}`);
  const { session } = dialled;
  if (callee.registry.find(session.id ?? '')?.state !== 'live') throw new Error('the other side has no such session');
  caller.registry.end(session, rejection('IDLE', 'the benchmark has seen enough of it'));
  await new Promise<void>((resolve) => whenGone(session.id ?? '', resolve));
}

/** Calls back once the other side has closed the session, too. */
function whenGone(id: string, resolve: () => void): void {
  if (callee.registry.find(id) === undefined) resolve();
  else setTimeout(() => whenGone(id, resolve), 2);
}

/** CPU of the whole process, user and system, for one connection; milliseconds. */
async function cpuOfRound(once: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  let left = options.connections;
  const lane = async () => {
    while (left-- > 0) await once();
  };
  await Promise.all(Array.from({ length: options.parallel }, lane));
  // What a connection costs when it closes is its own cost, not that of the next round.
  while (process.getActiveResourcesInfo().includes('TCPSocketWrap')) await pause(5);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / options.connections;
}
