import { setTimeout as delay } from 'node:timers/promises';
import type { LoggedProcess } from '../test/support/child-process.ts';
import { MemoryTrend } from './support/memory-trend.ts';
import { readOptions } from './support/options.ts';
import { seeded } from './support/seeded.ts';
import { EVENT_KINDS, LONGEST_ABSENCE_MS, SoakEvents } from './support/soak-events.ts';
import { SoakMesh } from './support/soak-mesh.ts';
import {
  explainCall,
  explainComplaint,
  groupComplaints,
  isEndOfCertificate,
  type Complaint,
} from './support/soak-verdict.ts';
import { report, rounded } from './support/statistics.ts';

const WHAT = `A mesh of real processes, one authority and ten sidecars of five agents, under steady calls of three kinds: gRPC on a
channel that is kept, a connection for each call, one connection for all calls. Certificates live 10 s, so all the time some
of them rotate. Things are done to the mesh, one at a time, picked by a seeded generator. Every call that failed and every
log line at level warn or above must be explained by one of them: by time, by whom it concerns, and by what it says. A
stream that ends because a certificate did is not explained by anything. Memory is sampled every 5 s, five minutes
after the start of each process and later; its slope is judged in runs of 10 minutes and more. Sidecars of one agent are
never restarted, and in the last 55 % the authority is not: their memory can be judged.`;

const options = readOptions({
  name: 'soak',
  command: 'soak',
  what: WHAT,
  numbers: {
    minutes: { byDefault: 20, text: 'how long it runs' },
    seed: { byDefault: 1, text: 'of the generator; the same seed does the same things' },
    'pause-ms': { byDefault: 6000, text: 'longest pause between two of them' },
  },
});
const SAMPLE_MS = 5000;
/** A peer that fell silent is given up after 15 s. */
const SETTLE_MS = 30_000;
/** From so many minutes on the slope of memory is judged: below, it is the saw-tooth of the garbage collector. */
const JUDGED_FROM_MINUTES = 10;
const SLOPE_MB_PER_MINUTE = 0.5;
/** The last part of the run, in which the authority is not restarted: of 20 minutes, 11. */
const SPARED_SHARE = 0.55;
const MAX_EXAMPLES = 20;

const random = seeded(options.seed);
const problems: string[] = [];
const trend = new MemoryTrend();
const progress = (text: string): void => {
  if (!options.json) console.log(text);
};

const soak = await SoakMesh.start();
const sampling = setInterval(sample, SAMPLE_MS);
const events = new SoakEvents(soak, random);
const startedAt = Date.now();
const until = startedAt + options.minutes * 60_000;
const spareFrom = startedAt + options.minutes * 60_000 * (1 - SPARED_SHARE);
let hasRecovered = false;
try {
  while (Date.now() < until) {
    await delay(1000 + random() * options['pause-ms']);
    const {
      kind,
      pod,
      agent,
      awayMs = 0,
      from,
      until: recovered,
    } = await events.next({ spared: Date.now() > spareFrom });
    progress(`${clock(from)} ${kind} ${pod ?? agent ?? ''}: over after ${recovered - from} ms`);
    if (awayMs > LONGEST_ABSENCE_MS) {
      // Nothing is explained by it: the run has failed, and this is where to begin.
      problems.push(`${clock(from)} the authority took ${rounded(awayMs)} ms to come back: this machine is too busy`);
    }
  }
  hasRecovered = true;
} catch (error) {
  problems.push(`the mesh did not recover: ${(error as Error).message}`);
}
clearInterval(sampling);
await Promise.all(soak.pods.map((pod) => pod.endCalls()));
if (hasRecovered) await checkSessionsAgree();
const complaints = collectComplaints();
const callers = soak.pods.flatMap((pod) => pod.callers);
await soak.end();

const failed = callers.flatMap((caller) => caller.failed);
const atRotation = failed.filter(
  (call) => explainCall(call, events.done) === undefined && isEndOfCertificate(call, complaints),
);
const unexplainedCalls = failed.filter(
  (call) => explainCall(call, events.done) === undefined && !atRotation.includes(call),
);
const relations = {
  agentOf: (name: string) => name.replace(/-[ab]$/, ''),
  calls: (from: string, to: string) => soak.calleesOf(from).includes(to),
};
const unexplainedLines = complaints.filter(
  (complaint) => explainComplaint(complaint, events.done, relations) === undefined,
);
const memory = trend.summary();
const isJudged = options.minutes >= JUDGED_FROM_MINUTES;

progress('');
for (const { from, to, kind, startedAt: began, failedAt, error } of unexplainedCalls.slice(0, MAX_EXAMPLES)) {
  progress(`unexplained call at ${clock(failedAt)} from ${from} to ${to} (${kind}), ${failedAt - began} ms: ${error}`);
}
for (const { what, count, example } of groupComplaints(unexplainedLines).slice(0, MAX_EXAMPLES)) {
  const { writer, line } = example;
  const at = clock(Date.parse(String(line['ts'])));
  progress(`${count} unexplained ${what}, such as ${writer} at ${at}: ${JSON.stringify(line).slice(0, 500)}`);
}
for (const problem of problems) progress(problem);
report(
  {
    name: 'soak',
    rows: [
      ...EVENT_KINDS.map((kind) => {
        const of = events.done.filter((event) => event.kind === kind);
        return {
          event: kind,
          times: of.length,
          'over after at most, ms': Math.max(0, ...of.map((event) => event.until - event.from)),
          'calls failed': failed.filter((call) => explainCall(call, events.done) === kind).length,
          'lines explained': complaints.filter((one) => explainComplaint(one, events.done, relations) === kind).length,
        };
      }),
      {
        event: 'none: a certificate ended',
        times: '',
        'over after at most, ms': '',
        'calls failed': atRotation.length,
        'lines explained': '',
      },
      {
        event: 'none',
        times: '',
        'over after at most, ms': '',
        'calls failed': unexplainedCalls.length,
        'lines explained': unexplainedLines.length,
      },
    ],
    targets: [
      { claim: 'calls that failed for no reason', measured: unexplainedCalls.length, limit: 0 },
      { claim: 'streams and calls that ended with a certificate', measured: atRotation.length, limit: 0 },
      { claim: 'log lines at warn and above for no reason', measured: unexplainedLines.length, limit: 0 },
      { claim: 'sessions, recovery: problems', measured: problems.length, limit: 0 },
      ...(isJudged
        ? [{ claim: 'steepest memory, MB a minute', measured: trend.steepest(), limit: SLOPE_MB_PER_MINUTE }]
        : []),
    ],
    notes: [
      `${callers.reduce((sum, { succeeded }) => sum + succeeded, 0)} calls succeeded; seed ${options.seed}`,
      `longest stream ${rounded(Math.max(...callers.map(({ longestMs }) => longestMs)) / 1000)} s, certificates live 10 s`,
      ...memory.map(({ role, slope, highest }) => {
        return `memory of ${role}: highest ${rounded(highest)} MB, slope ${slope === undefined ? 'unknown' : rounded(slope)} MB a minute`;
      }),
      ...problems,
    ],
  },
  options,
);
process.exit();

function sample(): void {
  const { process: authority } = soak.mesh.authority;
  const sidecars = soak.pods.map(({ name, agent }) => ({ role: name, process: agent.sidecar }));
  for (const { role, process } of [{ role: 'the authority', process: authority }, ...sidecars]) {
    if (process.running) trend.sample(role, process.pid);
  }
}

/** Every live session that one side has, the other has too, as soon as those that just end have ended on both. */
async function checkSessionsAgree(): Promise<void> {
  const until = Date.now() + SETTLE_MS;
  let odd = await oneSidedSessions();
  while (odd.length > 0 && Date.now() < until) {
    await delay(1000);
    odd = await oneSidedSessions();
  }
  problems.push(...odd);
}

async function oneSidedSessions(): Promise<string[]> {
  const all = await Promise.all(soak.pods.map(({ agent }) => agent.sessions()));
  const live = all.flat().filter(({ state }) => state === 'live');
  const ids = (wanted: string) => new Set(live.filter(({ role }) => role === wanted).map(({ id }) => id));
  const [dialled, accepted] = [ids('dialler'), ids('acceptor')];
  return [
    ...[...dialled].filter((id) => !accepted.has(id)).map((id) => `session ${id} has a dialler and no acceptor`),
    ...[...accepted].filter((id) => !dialled.has(id)).map((id) => `session ${id} has an acceptor and no dialler`),
  ];
}

function collectComplaints(): Complaint[] {
  const of = (writer: string, processes: readonly LoggedProcess[]) =>
    processes.flatMap(({ lines }) => lines.filter(isComplaint).map((line) => ({ writer, line })));
  return [
    ...of('authority', soak.mesh.authority.processes),
    ...soak.pods.flatMap(({ name, agent }) => of(name, agent.processes)),
  ].filter(({ line }) => Date.parse(String(line['ts'])) >= startedAt);
}

function isComplaint(line: LoggedProcess['lines'][number]): boolean {
  return (
    line['level'] === 'warn' ||
    line['level'] === 'error' ||
    line['level'] === 'fatal' ||
    line.event === 'unstructured_output'
  );
}

function clock(at: number): string {
  return `${((at - startedAt) / 1000).toFixed(1).padStart(7)} s`;
}
