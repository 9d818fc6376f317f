import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AitRun, isGone, writeAgentFile } from '../support/ait-run.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

/** Starts another process, which heeds nothing it can do without, and prints both; then waits or ends. */
const parent = (then: 'waits' | 'ends', heeds: 'heeding' | 'deaf' = 'deaf') => `
const deaf = "for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => undefined);";
const idle = "setInterval(() => 0, 999); console.log('up');";
const script = ${heeds === 'deaf' ? 'deaf + ' : ''}idle;
const stdio = ['ignore', 'pipe', 'ignore'];
const child = require('node:child_process').spawn(process.execPath, ['-e', script], { stdio });
child.stdout.once('data', () => {
  console.log('pids ' + process.pid + ' ' + child.pid);
  ${then === 'ends' ? 'process.exit(0);' : 'process.on("SIGTERM", () => undefined);'}
});
`;

async function pidsOf(run: AitRun): Promise<number[]> {
  const [, agent, child] = /pids (\d+) (\d+)/.exec(await run.printed(/pids \d+ \d+\n/)) ?? [];
  return [Number(agent), Number(child)];
}

for (const heeds of ['heeding', 'deaf'] as const) {
  test(`what the agent leaves running is ended with it, ${heeds} or not; and the sidecar has left in good order`, async (t) => {
    const mesh = await startMesh(t, { agents: { planner: { start: false } } });
    const { folder } = mesh.agent('planner');
    const run = new AitRun(t, await writeAgentFile(mesh, 'planner'), ['node', '-e', parent('ends', heeds)]);
    const pids = await pidsOf(run);
    assert.equal(await run.code(), 0, run.err);
    assert.deepEqual(pids.map(isGone), [true, true]);
    assert.equal(existsSync(join(folder, 'run-state/admin.sock')), false);
    assert.equal(existsSync(join(folder, 'run-state/lock')), false);
  });
}

test('kill -9 of ait run: the agent and what it started end all the same, and it can be run again', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const file = await writeAgentFile(mesh, 'planner');
  for (const kill of ['alone', 'group'] as const) {
    const run = new AitRun(t, file, ['node', '-e', parent('waits')]);
    const pids = await pidsOf(run);
    assert.deepEqual(pids.map(isGone), [false, false]);
    if (kill === 'alone') run.signal('SIGKILL');
    else run.signalGroup('SIGKILL');
    await pollUntil(
      () => pids.map(isGone),
      (gone) => gone.every(Boolean),
      { deadlineMs: 20_000 },
    );
    assert.equal((await run.exited).signal, 'SIGKILL');
  }
  const again = new AitRun(t, file, ['true']);
  assert.equal(await again.code(), 0, again.err);
});

test('the authority is gone when the agent ends: ait run ends all the same, with the agent’s code', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const script = 'console.log("up"); process.stdin.once("data", () => process.exit(5))';
  const run = new AitRun(t, await writeAgentFile(mesh, 'planner'), ['node', '-e', script]);
  await run.printed(/up/);
  await mesh.authority.process.kill();
  run.say('end\n');
  assert.equal(await run.code(), 5, run.err);
});

test('one agent.yaml is run once at a time; another copy with a folder of its own runs beside it', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const file = await writeAgentFile(mesh, 'planner');
  const script = 'console.log("up"); process.stdin.once("data", () => process.exit(0))';
  const first = new AitRun(t, file, ['node', '-e', script]);
  await first.printed(/up/);
  const second = new AitRun(t, file, ['node', '-e', script]);
  assert.equal(await second.code(), 1);
  assert.match(
    second.err,
    /ait: STATE_LOCKED: this agent is being run already: .* by process \d+ .*\n {2}try: .*--state/,
  );
  assert.equal(second.out, '');
  const beside = new AitRun(t, file, ['node', '-e', script], {
    flags: ['--state', join(mesh.agent('planner').folder, 'run-state-2')],
  });
  await beside.printed(/up/);
  for (const run of [first, beside]) {
    run.say('end\n');
    assert.equal(await run.code(), 0, run.err);
  }
});
