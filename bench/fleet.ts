import { createServer } from 'node:net';
import { join } from 'node:path';
import { cpuMs, pause } from './support/children.ts';
import { nowMs } from './support/fleet-protocol.ts';
import { Fleet } from './support/fleet.ts';
import { FleetMesh, HUB } from './support/fleet-mesh.ts';
import { readOptions } from './support/options.ts';
import { ProcessMeter, scrape, sumOf } from './support/process-meter.ts';
import { median, percentile, report } from './support/statistics.ts';

const WHAT = `One authority, as users start it, and many whole sidecars, each of an agent of its own, several to a process. Each has
sessions with two others and, while a revocation is timed, with one hub. "start": all join at once. "revocation": from the
moment the file is in the policy directory to the moment the last sidecar has acted on it; "state": of an instance nobody
knows, which concerns everybody; "session": of the hub's instance, until the sidecar has ended its session with it; the
hub's process is stopped the moment before, since whoever is revoked need not be of any help. Each begins in a calm fleet.
"recovery": the authority is killed with -9 and, some time later, started again; a revocation that was written meanwhile
must reach everybody. All processes share the machine's clock, and its cores: what many machines would do at the same time
happens here one after the other.`;

const options = readOptions({
  name: 'fleet',
  what: WHAT,
  numbers: {
    sidecars: { byDefault: 200, text: 'sidecars, at least 8' },
    processes: { byDefault: 4, text: 'processes that run them' },
    rounds: { byDefault: 10, text: 'revocations of each kind' },
    recoveries: { byDefault: 3, text: 'times the authority is killed' },
    'down-ms': { byDefault: 5000, text: 'how long it stays away' },
  },
});

/** Sidecars report what happened to them within a second; after so long the fleet is calm again, in ms. */
const CALM_MS = 1500;

const mesh = new FleetMesh(options.sidecars);
await mesh.up();
const fleet = new Fleet(mesh, options);
const hubApp = join(mesh.folder, 'hub-app.sock');
createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(hubApp);
const progress = (text: string): void => {
  if (!options.json) console.log(`… ${text}`);
};

const start = await startAll();
progress(`started in ${Math.round(Math.max(...start.ready))} ms`);
await fleet.connect('peers');
progress('sessions are open');
const reach = await revocations();
const recoveries: Awaited<ReturnType<typeof recover>>[] = [];
for (let round = 0; round < options.recoveries; round += 1) {
  recoveries.push(await recover());
  progress(`recovered in ${Math.round(Math.max(...(recoveries.at(-1)?.applied ?? [])))} ms`);
}
await fleet.stop();
await mesh.stop();

const row = (what: string, values: readonly number[]) => ({
  what,
  median: median(values),
  p99: percentile(values, 0.99),
  max: Math.max(...values),
  of: values.length,
});
const of = (pick: (one: (typeof recoveries)[number]) => number) => recoveries.map(pick);
report(
  {
    name: 'fleet',
    rows: [
      row('start: ms from the word go until ready', start.ready),
      row('start: CPU of the authority, ms', [start.authority.cpuMs]),
      row('start: memory of the authority, MB', [start.authority.peakRssMb]),
      row('start: memory per sidecar, MB', [start.mbPerSidecar]),
      row('revocation: ms until it is in force at the authority', reach.inForce),
      row('revocation: ms to the new state', reach.applied),
      row('revocation: ms to the last new state of a round', reach.lastApplied),
      row('revocation: CPU ms of all together until the last new state', reach.cpu),
      row('revocation: ms to the end of the session', reach.ended),
      row('revocation: ms to the last end of a round', reach.lastEnded),
      row(
        'recovery: ms from the start of the authority to a fresh state',
        recoveries.flatMap(({ applied }) => applied),
      ),
      row(
        'recovery: ms until the last has it',
        of(({ applied }) => Math.max(...applied)),
      ),
      row(
        'recovery: ms the authority needs until it listens',
        of(({ listening }) => listening),
      ),
      row(
        'recovery: failed attempts in the worst second, of all',
        of(({ failedRate }) => failedRate),
      ),
      row(
        'recovery: connections in the worst second',
        of(({ authority }) => authority.peakRate),
      ),
      row(
        'recovery: peak CPU of the authority, cores',
        of(({ authority }) => authority.peakCpu),
      ),
      row(
        'recovery: AITs issued',
        of(({ aits }) => aits),
      ),
      row(
        'recovery: joins',
        of(({ joins }) => joins),
      ),
      row(
        'recovery: sessions lost',
        of(({ lost }) => lost),
      ),
    ],
    targets: [
      { claim: 'revocation to the new state, ms, p99', measured: percentile(reach.applied, 0.99), limit: 250 },
      { claim: 'revocation to the end of the session, ms, p99', measured: percentile(reach.ended, 0.99), limit: 250 },
      {
        claim: 'all have a fresh state after a restart of the authority, ms',
        measured: Math.max(...recoveries.flatMap(({ applied }) => applied)),
        limit: 15_000,
      },
      {
        claim: 'sessions lost over restarts of the authority',
        measured: Math.max(...of(({ lost }) => lost)),
        limit: 0,
      },
      { claim: 'joins after restarts of the authority', measured: Math.max(...of(({ joins }) => joins)), limit: 0 },
    ],
    notes: [
      `the authority was away for ${options['down-ms']} ms each time; ${options.sidecars} agents, one sidecar each`,
    ],
  },
  options,
);
process.exit();

function meterAuthority(): ProcessMeter {
  const { authority, authorityMetrics: metrics } = mesh;
  return new ProcessMeter({ pid: authority.pid, metrics, rateOf: 'ait_authority_connections_opened_total' });
}

async function startAll() {
  const before = (await fleet.counts()).rssMb;
  const meter = meterAuthority();
  const wentAt = nowMs();
  const ready = (await fleet.start()).map((at) => at - wentAt);
  const authority = await meter.stop();
  return { ready, authority, mbPerSidecar: ((await fleet.counts()).rssMb - before) / options.sidecars };
}

async function revocations() {
  const reach = {
    applied: [] as number[],
    lastApplied: [] as number[],
    inForce: [] as number[],
    cpu: [] as number[],
    ended: [] as number[],
    lastEnded: [] as number[],
  };
  for (let round = 0; round < options.rounds; round += 1) {
    // What the last round's dead instance brought about must not count as what this revocation does.
    await pause(CALM_MS);
    await fleet.reset();
    const inForce = mesh.authority.event('policy_applied');
    const cpuBefore = cpuMs(mesh.authority.pid) + fleet.cpuMs();
    const stateAt = nowMs();
    mesh.revoke();
    await inForce;
    reach.inForce.push(nowMs() - stateAt);
    const applied = (await fleet.all('applied')).map((at) => at - stateAt);
    reach.applied.push(...applied);
    reach.lastApplied.push(Math.max(...applied));
    reach.cpu.push(cpuMs(mesh.authority.pid) + fleet.cpuMs() - cpuBefore);

    const { hub, instance } = await mesh.startHub(hubApp);
    await fleet.connect(HUB);
    // Nor what the new instance brought about.
    await pause(CALM_MS);
    await fleet.reset();
    hub.kill('SIGSTOP');
    const sessionAt = nowMs();
    mesh.revoke(instance);
    const ended = (await fleet.all('revoked')).map((at) => at - sessionAt);
    reach.ended.push(...ended);
    reach.lastEnded.push(Math.max(...ended));
    await hub.killNow();
    progress(
      `round ${round + 1}: state ${Math.round(Math.max(...applied))} ms, session ${Math.round(Math.max(...ended))} ms`,
    );
  }
  return reach;
}

async function recover() {
  const { liveSessions } = await fleet.counts();
  await fleet.reset();
  await mesh.authority.killNow();
  mesh.revoke();
  await pause(options['down-ms']);
  const startedAt = nowMs();
  await mesh.startAuthority();
  const listening = nowMs() - startedAt;
  const meter = meterAuthority();
  const applied = (await fleet.all('applied')).map((at) => at - startedAt);
  // Whatever a stampede would set off comes now.
  await pause(3000);
  const authority = await meter.stop();
  const metrics = await scrape(mesh.authorityMetrics);
  const counts = await fleet.counts();
  return {
    applied,
    listening,
    authority,
    failedRate: mostInASecond(counts.watchesBroken),
    aits: sumOf(metrics, 'ait_aits_issued_total'),
    joins: sumOf(metrics, 'ait_joins_total') + counts.joins,
    lost: Math.max(
      liveSessions - counts.liveSessions,
      Object.values(counts.ended).reduce((sum, count) => sum + count, 0),
    ),
  };
}

function mostInASecond(times: readonly number[]): number {
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + 1000).length));
}
