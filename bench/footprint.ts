import { mkdirSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { rejection } from '../src/domain/rejection.ts';
import { loadMeasureConfig, measureOnce } from '../src/cli/baseline/measure-once.ts';
import { dialExchange } from '../src/sidecar/exchange/dialler.ts';
import { Child, memoryMb, pause } from './support/children.ts';
import { BenchMesh, peerListen, sidecarCommand, type SidecarRecord } from './support/mesh.ts';
import { readOptions } from './support/options.ts';
import { createSpeaker } from './support/speaker.ts';
import { median, report } from './support/statistics.ts';

const WHAT = `What one sidecar costs, as users start it (node dist/ait.mjs sidecar): from spawn to sidecar_ready with the authority
up, and its resident memory after one exchange and 1,000 decisions. The dialling sidecar makes one exchange and refuses
its agent 1,000 connections for want of a grant; the accepting one admits and ends 1,000 whole exchanges after the first.`;

const options = readOptions({
  name: 'footprint',
  what: WHAT,
  numbers: {
    starts: { byDefault: 9, text: 'starts to take the median of' },
    decisions: { byDefault: 1000, text: 'decisions on each side' },
  },
});

const mesh = new BenchMesh();
await mesh.start(['caller', 'callee', 'archive'], { caller: ['callee'] });

const starts: number[] = [];
for (let start = 0; start < options.starts; start += 1) {
  const { child, readyMs } = await startSidecar(mesh.sidecarConfig('archive', {}, `archive-${start}`));
  starts.push(readyMs);
  await child.stop();
}

const app = createServer((socket) => socket.pipe(socket).on('error', () => undefined)).listen(0, '127.0.0.1');
await pause(10);
const { port } = app.address() as AddressInfo;
const callee = await startSidecar(mesh.sidecarConfig('callee', { app: { address: `127.0.0.1:${port}` } }));
const address = String(callee.ready['inbound']);
const peers = ['callee', 'archive'].map((agent) => ({ agent, listen: '127.0.0.1:0', address }));
const caller = await startSidecar(mesh.sidecarConfig('caller', { peers }));
const idle = memoryMb(caller.child.pid);

const kept = connect(toAddress(peerListen(caller.ready, 'callee')));
await new Promise((resolve, reject) =>
  kept.once('data', resolve).once('error', reject).once('close', reject).write('hello'),
);
await inLanes(8, () => refusedConnection(peerListen(caller.ready, 'archive')));
await manyExchanges();
await pause(2000);
const [dialling, accepting] = [memoryMb(caller.child.pid), memoryMb(callee.child.pid)];

kept.destroy();
app.close();
await Promise.all([caller.child.stop(), callee.child.stop()]);
await mesh.stop();
report(
  {
    name: 'footprint',
    rows: [
      { what: 'start to ready, ms', median: median(starts), lowest: Math.min(...starts), highest: Math.max(...starts) },
      { what: 'memory when ready, MB', median: idle.now, lowest: '', highest: idle.peak },
      { what: 'memory, dialling side, MB', median: dialling.now, lowest: '', highest: dialling.peak },
      { what: 'memory, accepting side, MB', median: accepting.now, lowest: '', highest: accepting.peak },
    ],
    targets: [
      { claim: 'start to ready, ms, median', measured: median(starts), limit: 500 },
      { claim: 'memory after one exchange and the decisions, MB', measured: dialling.now, limit: 80 },
      {
        claim: 'the same where each decision is an exchange that was accepted, MB',
        measured: accepting.now,
        limit: 80,
      },
    ],
    notes: ['memory is resident memory 2 s after the last decision; "highest" is the most there ever was'],
  },
  options,
);
process.exit();

async function startSidecar(config: string): Promise<{ child: Child; ready: SidecarRecord; readyMs: number }> {
  const startedAt = performance.now();
  const child = new Child(sidecarCommand(config), mesh.folder);
  const ready = await child.event('sidecar_ready');
  return { child, ready, readyMs: performance.now() - startedAt };
}

/** One connection of the agent that the sidecar refuses. */
function refusedConnection(listen: string): Promise<void> {
  return new Promise((resolve) => {
    connect(toAddress(listen))
      .on('error', () => undefined)
      .once('close', () => resolve());
  });
}

/** From another process (this one), as another instance of the caller: connect, exchange, accepted, ended. */
async function manyExchanges(): Promise<void> {
  const { folder, credential } = mesh.agent('caller');
  const stateDir = join(folder, 'state-of-speaker');
  mkdirSync(stateDir);
  const { measurement } = await measureOnce(loadMeasureConfig(join(folder, 'measure.yaml')));
  const speaker = await createSpeaker({ credential, measurement, stateDir });
  await inLanes(4, async () => {
    const dialled = await dialExchange({ peer: peerId('callee'), address }, speaker.deps);
    if (!dialled.ok) throw new Error(`${dialled.cause.code}: ${dialled.cause.detail}`);
    speaker.registry.end(dialled.session, rejection('IDLE', 'the benchmark has seen enough of it'));
  });
  await speaker.stop();

  function peerId(name: string) {
    return speaker.deps.self.replace(/[^/]*$/, name) as typeof speaker.deps.self;
  }
}

async function inLanes(lanes: number, once: () => Promise<void>): Promise<void> {
  let left = options.decisions;
  const lane = async () => {
    while (left-- > 0) await once();
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function toAddress(listen: string): { host: string; port: number } {
  const [host = '', at = ''] = listen.split(':');
  return { host, port: Number(at) };
}
