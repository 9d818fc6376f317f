import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './support/children.ts';
import { BenchMesh, sidecarCommand } from './support/mesh.ts';
import { readOptions } from './support/options.ts';
import { median, report } from './support/statistics.ts';

const WHAT = `What ait run costs at the start (node dist/ait.mjs run): from spawn to the agent's start, and to the answer to its first call.
The authority and the peer, with its sidecar, run already; the peer's address comes from the authority. The agent is a
Node.js program that makes one TCP call as soon as it runs, and the same without a sidecar is measured beside it.`;

const options = readOptions({
  name: 'run',
  what: WHAT,
  numbers: { rounds: { byDefault: 9, text: 'rounds to take the median of' } },
});

const AIT = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist/ait.mjs');
/** Says when it runs and when its call was answered. A refused call is made again, as any client of a mesh does. */
const AGENT = `
const say = (event) => console.log(JSON.stringify({ event }));
say('agent_started');
const at = process.argv[2];
const target = at.startsWith('unix:') ? { path: at.slice(5) } : { host: at.split(':')[0], port: Number(at.split(':')[1]) };
const call = () => {
  const socket = require('node:net').connect(target);
  socket.on('error', () => undefined).write('hello');
  socket.once('data', () => { say('agent_answered'); socket.removeAllListeners('close').destroy(); });
  socket.once('close', () => setTimeout(call, 5));
};
call();
`;

const mesh = new BenchMesh();
await mesh.start(['caller', 'callee'], { caller: ['callee'] });
const app = createServer((socket) => socket.pipe(socket).on('error', () => undefined)).listen(0, '127.0.0.1');
await new Promise((resolve) => app.once('listening', resolve));
const appAddress = `127.0.0.1:${(app.address() as AddressInfo).port}`;
const callee = new Child(sidecarCommand(mesh.sidecarConfig('callee', { app: { address: appAddress } })), mesh.folder);
await callee.event('sidecar_ready');

const agent = join(mesh.folder, 'agent.cjs');
writeFileSync(agent, AGENT);
const file = mesh.sidecarConfig('caller', { peers: [{ agent: 'callee' }] }, 'agent');

const alone: Round[] = [];
const behind: Round[] = [];
for (let round = 0; round < options.rounds; round += 1) {
  alone.push(await measure([process.execPath, agent, appAddress]));
  behind.push(await measure([process.execPath, AIT, 'run', file, '--', process.execPath, agent, '${peer.callee}']));
}

app.close();
await callee.stop();
await mesh.stop();
report(
  {
    name: 'run',
    rows: [
      row(
        'without a sidecar: to the first answer, ms',
        alone.map(({ answeredMs }) => answeredMs),
      ),
      row(
        'ait run: to the agent’s start, ms',
        behind.map(({ startedMs }) => startedMs),
      ),
      row(
        'ait run: to the first answer, ms',
        behind.map(({ answeredMs }) => answeredMs),
      ),
    ],
    targets: [
      {
        claim: 'ait run to the first successful call, ms, median',
        measured: median(behind.map(({ answeredMs }) => answeredMs)),
        limit: 1500,
      },
    ],
  },
  options,
);
process.exit();

interface Round {
  /** Both from the spawn, in ms. */
  readonly startedMs: number;
  readonly answeredMs: number;
}

async function measure(command: readonly [string, ...string[]]): Promise<Round> {
  const from = performance.now();
  const child = new Child(command, mesh.folder);
  const answered = child.event('agent_answered').then(() => performance.now() - from);
  await child.event('agent_started');
  const startedMs = performance.now() - from;
  const answeredMs = await answered;
  await child.stop();
  return { startedMs, answeredMs };
}

function row(what: string, values: readonly number[]) {
  return { what, median: median(values), lowest: Math.min(...values), highest: Math.max(...values) };
}
