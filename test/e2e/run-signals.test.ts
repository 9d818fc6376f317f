import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AitRun, isGone, writeAgentFile } from '../support/ait-run.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runAit } from '../support/run-ait.ts';

/** Prints each signal it gets. It ends with code 3 on SIGTERM, and in no other way. */
const LISTENER = `
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'])
  process.on(signal, () => {
    console.log('got ' + signal);
    if (signal === 'SIGTERM') process.exit(3);
  });
setInterval(() => 0, 999);
console.log('pid ' + process.pid);
`;

/** As {@link LISTENER}, but it does not end on SIGTERM either. */
const DEAF = LISTENER.replace('process.exit(3)', 'undefined');

async function started(run: AitRun): Promise<number> {
  return Number(/pid (\d+)/.exec(await run.printed(/pid \d+\n/))?.[1]);
}

test('each signal reaches the agent once, be it sent to ait run or by Ctrl-C to everybody in the foreground', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const file = await writeAgentFile(mesh, 'planner');
  const send = {
    alone: (run: AitRun, signal: NodeJS.Signals) => run.signal(signal),
    group: (run: AitRun, signal: NodeJS.Signals) => run.signalGroup(signal),
  };
  for (const how of ['alone', 'group'] as const) {
    const run = new AitRun(t, file, ['node', '-e', LISTENER]);
    await started(run);
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGINT'] as const) {
      send[how](run, signal);
      await run.printed(new RegExp(`got ${signal}\n`));
    }
    // All before it have been handled when this one has: a second copy would be in front of it.
    send[how](run, 'SIGUSR1');
    await run.printed(/got SIGINT\n(.*\n)*got SIGUSR1\n/);
    const got = run.out.match(/(?<=got )SIG\w+/g);
    assert.deepEqual(got, ['SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGINT', 'SIGUSR1'], how);
    run.signal('SIGKILL');
    await run.exited;
  }
});

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
  test(`${signal} is passed on, and the agent's own answer to it is the exit code`, async (t) => {
    const mesh = await startMesh(t, { agents: { planner: { start: false } } });
    const file = await writeAgentFile(mesh, 'planner');
    const run = new AitRun(t, file, [
      'node',
      '-e',
      LISTENER.replaceAll("signal === 'SIGTERM'", `signal === '${signal}'`),
    ]);
    const pid = await started(run);
    run.signal(signal);
    assert.equal(await run.code(), 3, run.err);
    assert.match(run.out, new RegExp(`got ${signal}\n$`));
    assert.ok(isGone(pid));
  });
}

for (const [first, second] of [
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGINT'],
] as const) {
  test(`an agent that does not heed ${first} is ended by force with ${second}`, async (t) => {
    const mesh = await startMesh(t, { agents: { planner: { start: false } } });
    const run = new AitRun(t, await writeAgentFile(mesh, 'planner'), ['node', '-e', DEAF]);
    const pid = await started(run);
    run.signal(first);
    await run.printed(new RegExp(`got ${first}`));
    assert.equal(isGone(pid), false);
    run.signal(second);
    assert.equal(await run.code(), 137, run.err);
    assert.ok(isGone(pid));
  });
}

test('Ctrl-Z stops the agent and its sidecar, and fg has both go on', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const run = new AitRun(t, await writeAgentFile(mesh, 'planner'), ['node', '-e', LISTENER]);
  const pid = await started(run);
  run.signal('SIGTSTP');
  await pollUntil(
    () => [stateOf(pid), stateOf(run.pid)],
    (states) => states.join('') === 'TT',
  );
  run.signal('SIGCONT');
  await pollUntil(
    () => [stateOf(pid), stateOf(run.pid)],
    (states) => !states.includes('T'),
  );
  run.signal('SIGTERM');
  assert.equal(await run.code(), 3, run.err);
});

test('asked to quit by its admin socket, the sidecar ends its agent first', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const file = await writeAgentFile(mesh, 'planner');
  const run = new AitRun(t, file, ['node', '-e', LISTENER]);
  await started(run);
  const { code, output } = await runAit(['sidecar', 'quit', '--config', file], { deadlineMs: 60_000 });
  assert.equal(code, 0, output);
  assert.equal(await run.code(), 3, run.err);
  assert.match(run.out, /got SIGTERM/);
});

function stateOf(pid: number): string {
  return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '';
}
