import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, pause } from './support/children.ts';
import { BenchMesh, sidecarCommand } from './support/mesh.ts';
import { readOptions } from './support/options.ts';
import { median, percentile, report } from './support/statistics.ts';

const WHAT = `Time from writing a changed prompt until what it must end has ended, with many live sessions on one real sidecar: each
is with an instance of its own, and has an open data connection that carries a trickle to the agent. The peers are one
process that speaks the real protocol. "self cut": the sidecar ends its own sessions; "peers alone": it only announces
what it measures (an entry for tests), and the peers end theirs. The clock starts before the write and is the machine's.`;

const options = readOptions({
  name: 'drift',
  what: WHAT,
  numbers: {
    sessions: { byDefault: 200, text: 'live sessions' },
    rounds: { byDefault: 30, text: 'times the prompt is changed and put back, self cut' },
    'rounds-peers': { byDefault: 4, text: 'the same, peers alone' },
  },
});

const mesh = new BenchMesh();
await mesh.start(['callee', 'caller'], { caller: ['callee'] });
const { prompt } = mesh.agent('callee');
const approved = readFileSync(prompt, 'utf8');
const local = new Set<Socket>();
let lastLocalClosed = 0;
// The agent: echoes what trickles in. Its sockets are the local ones of the sidecar's sessions.
const app = createServer((socket) => {
  local.add(socket);
  socket
    .on('error', () => undefined)
    .once('close', () => {
      local.delete(socket);
      lastLocalClosed = nowMs();
    });
  socket.pipe(socket);
}).listen(join(mesh.folder, 'agent.sock'));

const selfCut = await series('self cut', options.rounds);
const peersAlone = await series('peers alone', options['rounds-peers']);
app.close();
await mesh.stop();

const row = (what: string, values: readonly number[]) => ({
  'ms from the write until': what,
  p50: median(values),
  p90: percentile(values, 0.9),
  p99: percentile(values, 0.99),
  rounds: values.length,
});
report(
  {
    name: 'drift',
    rows: [
      row("self cut: last local socket closed, by the sidecar's clock", selfCut.closed),
      row('  of that, resetting all sockets', selfCut.own),
      row('self cut: last local socket closed, seen by the agent', selfCut.local),
      row('self cut: last data connection closed, seen by the peers', selfCut.data),
      row('self cut: last session ended at the peers', selfCut.sessions),
      row('peers alone: first session ended at the peers', peersAlone.first),
      row('peers alone: last session ended at the peers', peersAlone.sessions),
    ],
    targets: [
      {
        claim: `last of ${options.sessions} local sockets closed, ms, p50`,
        measured: median(selfCut.closed),
        limit: 15,
      },
      {
        claim: `last of ${options.sessions} local sockets closed, ms, p99`,
        measured: percentile(selfCut.closed, 0.99),
        limit: 50,
      },
    ],
    notes: ['all peers share one process and its core with the agent: what the peers see is an upper bound'],
  },
  options,
);
process.exit();

interface Times {
  /** As the sidecar says: from the verdict to the reset of the last socket. */
  readonly own: number[];
  /** From the write to that moment; whole milliseconds. */
  readonly closed: number[];
  readonly local: number[];
  readonly data: number[];
  readonly first: number[];
  readonly sessions: number[];
}

/** Starts sidecar and peers, changes the prompt and puts it back, again and again. */
async function series(enforcement: 'self cut' | 'peers alone', rounds: number): Promise<Times> {
  const times: Times = { own: [], closed: [], local: [], data: [], first: [], sessions: [] };
  const config = mesh.sidecarConfig('callee', {
    app: { address: `unix:${join(mesh.folder, 'agent.sock')}` },
    limits: { unauthenticated_per_address: 1000 },
    log_level: 'info',
  });
  const sidecar = new Child(
    enforcement === 'self cut' ? sidecarCommand(config) : [...tsx('support/no-self-cut.ts'), config],
    mesh.folder,
  );
  const ready = await sidecar.event('sidecar_ready');
  const { credential, folder } = mesh.agent('caller');
  const peers = new Child(
    [...tsx('support/many-peers.ts'), folder, credential, String(options.sessions), String(ready['inbound'])],
    mesh.folder,
  );
  let up = await peers.event('peers_up', 60_000);
  for (let round = 0; round < rounds; round += 1) {
    await pause(100);
    if (local.size !== options.sessions) throw new Error(`${local.size} local sockets, not ${options.sessions}`);
    const down = peers.event('peers_down');
    const cut = sidecar.event('session_terminated');
    const next = peers.event('peers_up', 60_000);
    next.catch(() => undefined);
    const startedAt = nowMs();
    const wroteAt = Date.now();
    writeFileSync(prompt, `${approved} `);
    const ended = await down;
    const { enforcementMs, cutAt } = (await cut) as unknown as { enforcementMs: number; cutAt: number };
    times.own.push(enforcementMs);
    times.closed.push(cutAt - wroteAt);
    times.local.push(lastLocalClosed - startedAt);
    times.data.push(Number(ended['lastData']) - startedAt);
    times.first.push(Number(ended['firstSession']) - startedAt);
    times.sessions.push(Number(ended['lastSession']) - startedAt);
    writeFileSync(prompt, approved);
    up = await next;
  }
  if (up.event !== 'peers_up') throw new Error('the peers did not come back');
  await peers.stop();
  await sidecar.stop();
  return times;
}

function tsx(file: string): [string, ...string[]] {
  return [process.execPath, '--import', import.meta.resolve('tsx'), fileURLToPath(new URL(file, import.meta.url))];
}

/** Milliseconds on the machine's monotonic clock, which is the same for all processes. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
