/**
 * Many instances of one agent in one process: `many-peers.ts <folder> <credential> <count> <address>`. Each keeps a
 * session with the sidecar at the address, and on it a data connection that carries a trickle. Prints `peers_up` when
 * all are there, `peers_down` when all have ended, and then dials again.
 */
import { mkdirSync } from 'node:fs';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import * as v from 'valibot';
import { loadMeasureConfig, measureOnce } from '../../src/cli/baseline/measure-once.ts';
import { systemClock as clock } from '../../src/platform/clock.ts';
import { AccessLog } from '../../src/sidecar/calls/access-log.ts';
import { CallCounters } from '../../src/sidecar/calls/call-counters.ts';
import { callSettingsOf, callsSection } from '../../src/sidecar/calls/calls-section.ts';
import { GateTerms } from '../../src/sidecar/calls/gate-terms.ts';
import { dialData } from '../../src/sidecar/data/data-dialler.ts';
import { dialExchange } from '../../src/sidecar/exchange/dialler.ts';
import type { Session } from '../../src/sidecar/session/session.ts';
import { pause } from './children.ts';
import { createSpeaker, type Speaker } from './speaker.ts';

const [folder = '', credential = '', count = '', address = ''] = process.argv.slice(2);
const LANES = 8;
const TRICKLE_MS = 250;

const { measurement } = await measureOnce(loadMeasureConfig(join(folder, 'measure.yaml')));
const speakers: Speaker[] = [];
await inLanes(
  Array.from({ length: Number(count) }, (_, index) => index),
  async (index) => {
    const stateDir = join(folder, `peer-${process.pid}-${index}`);
    mkdirSync(stateDir);
    speakers.push(await createSpeaker({ credential, measurement, stateDir }));
  },
);

// Local sockets in pairs: one end is the mesh's, the other the calling agent's.
const pairs: ((socket: Socket) => void)[] = [];
const local = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => pairs.shift()?.(socket)).listen(
  0,
  '127.0.0.1',
);
await pause(10);
const { port } = local.address() as AddressInfo;

for (;;) {
  const ends = await inLanes(speakers, establish);
  print({ event: 'peers_up' });
  await Promise.all(ends.map(({ data }) => data));
  const sessions = await Promise.all(ends.map(({ session }) => session));
  const lastData = Math.max(...(await Promise.all(ends.map(({ data }) => data))));
  print({ event: 'peers_down', lastData, firstSession: Math.min(...sessions), lastSession: Math.max(...sessions) });
}

interface Ends {
  /** When each was over, milliseconds on the machine's monotonic clock. */
  readonly session: Promise<number>;
  readonly data: Promise<number>;
}

async function establish(speaker: Speaker): Promise<Ends> {
  const { deps } = speaker;
  for (;;) {
    const dialled = await dialExchange({ peer: calleeOf(speaker), address }, deps);
    const ends = dialled.ok ? await withData(dialled.session, speaker) : undefined;
    if (ends !== undefined) return ends;
    await pause(100);
  }
}

async function withData(session: Session, { deps, registry }: Speaker): Promise<Ends | undefined> {
  const over = sessionEnd(session);
  const meshEnd = new Promise<Socket>((resolve) => {
    pairs.push(resolve);
  });
  const agent = connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
  const socket = await meshEnd;
  socket.on('error', () => undefined);
  const data = await dialData(session, {
    clock,
    registry,
    roots: deps.roots,
    timing: { connectTimeoutMs: 5000, handshakeTimeoutMs: 5000, exchangeTimeoutMs: 5000 },
  });
  if (!data.ok) {
    agent.destroy();
    socket.destroy();
    return undefined;
  }
  const trickle = setInterval(() => agent.write('a trickle of bytes, back and forth'), TRICKLE_MS);
  agent.resume().once('close', () => clearInterval(trickle));
  const { metrics, decisions, logger, self, random, ports } = deps;
  const settings = callSettingsOf({ access_log: false, calls: v.parse(callsSection, {}) });
  const calls = new GateTerms({
    self,
    clock,
    random,
    decisions,
    settings,
    counters: new CallCounters(metrics),
    accessLog: new AccessLog({ logger, settings }),
    state: () => ports.state(),
    ownRejection: () => undefined,
    readBodies: () => 'none',
    bodyWatch: () => ({ open: () => undefined }),
    peers: () => new Map(),
    budget: { take: () => true, give: () => undefined },
    health: { observe: () => undefined },
  });
  data.connection.attach(socket);
  const http1 = () => {
    throw new Error('a trickle of bytes was taken for HTTP/1');
  };
  const carried = data.connection.carry(session, { registry, metrics, decisions, calls, direction: 'outbound', http1 });
  return { session: over, data: carried.then(nowMs) };
}

/** Sessions are polled for nothing: their control connection closes soon after they end, so the state is watched. */
function sessionEnd(session: Session): Promise<number> {
  return new Promise((resolve) => {
    let state = session.state;
    Object.defineProperty(session, 'state', {
      get: () => state,
      set: (next: typeof state) => {
        state = next;
        if (next === 'ended') resolve(nowMs());
      },
    });
  });
}

function calleeOf({ deps }: Speaker): Speaker['deps']['self'] {
  return deps.self.replace(/[^/]*$/, 'callee') as typeof deps.self;
}

async function inLanes<T, R>(items: readonly T[], once: (item: T) => Promise<R>): Promise<R[]> {
  const left = [...items];
  const results: R[] = [];
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) results.push(await once(next));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function print(record: object): void {
  process.stdout.write(`${JSON.stringify(record)}\n`);
}
