/**
 * Many whole sidecars in one process, each as users configure it. Reads questions from standard input and answers on
 * standard output; see `fleet-protocol.ts`. Ends with its standard input.
 */
import { connect, createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { loadConfig } from '../../src/platform/config-source.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { sidecarConfigSchema } from '../../src/sidecar/config.ts';
import { createSidecar, type Sidecar } from '../../src/sidecar/sidecar.ts';
import { memoryMb, pause } from './children.ts';
import { nowMs, type FleetCounts, type FleetMember, type FleetQuestion, type FleetTimes } from './fleet-protocol.ts';
import { FleetRecorder } from './fleet-recorder.ts';

const CONNECT_WITHIN_MS = 60_000;
const LANES = 8;
const recorder = new FleetRecorder();
const sidecars: Sidecar[] = [];
const connections = new Set<Socket>();
process.once('SIGTERM', () => process.exit());

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line) as FleetQuestion;
  process.stdout.write(`${JSON.stringify({ event: question.ask, ...(await answer(question)) })}\n`);
}
process.exit();

async function answer(question: FleetQuestion): Promise<FleetTimes | FleetCounts | object> {
  switch (question.ask) {
    case 'start':
      return { at: await startAll(question.members, question.app) };
    case 'connect':
      await connectAll(question.peers);
      return {};
    case 'reset':
      recorder.reset();
      return {};
    case 'await':
      return { at: await recorder.first(question.sight, { count: sidecars.length, withinMs: question.withinMs }) };
    case 'count': {
      const { liveSessions, ended, watchesBroken, joins, errors } = recorder;
      return { liveSessions, ended, watchesBroken, joins, errors, rssMb: memoryMb(process.pid).now };
    }
  }
}

/** Starts all at once. @returns when each was ready. */
async function startAll(members: readonly FleetMember[], app: string): Promise<number[]> {
  createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(app);
  for (const { name, config: file } of members) {
    const config = loadConfig({ schema: sidecarConfigSchema, file, env: {} });
    const logger = createLogger({ name: 'sidecar', level: 'info', destination: recorder.destination(name) });
    sidecars.push(createSidecar({ config, folder: dirname(file), logger, version: 'bench' }));
  }
  return Promise.all(
    sidecars.map(async (sidecar) => {
      await sidecar.start();
      await sidecar.readiness.whenReady();
      return nowMs();
    }),
  );
}

/** A few at a time: dialled all at once on few cores, exchanges would time out one another. */
async function connectAll(peers: readonly number[]): Promise<void> {
  const left = sidecars.flatMap((sidecar) => peers.map((peer) => ({ sidecar, peer })));
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      await keepConnection(next.sidecar, next.peer);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** A connection that has carried a byte there and back. The callee may not be known yet: then it is tried again. */
async function keepConnection(sidecar: Sidecar, peer: number): Promise<void> {
  const path = sidecar.addresses().peers[peer]?.listen.replace(/^unix:/, '') ?? '';
  const until = nowMs() + CONNECT_WITHIN_MS;
  for (;;) {
    const socket = connect(path);
    const answered = await new Promise<boolean>((resolve) => {
      socket
        .once('data', () => resolve(true))
        .on('error', () => undefined)
        .once('end', () => socket.destroy())
        .once('close', () => resolve(false))
        .write('.');
    });
    if (answered) {
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
      return;
    }
    if (nowMs() > until)
      throw new Error(`no connection through ${path} in ${CONNECT_WITHIN_MS} ms: ${JSON.stringify(recorder.refused)}`);
    await pause(100);
  }
}
