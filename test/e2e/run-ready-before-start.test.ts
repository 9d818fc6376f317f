import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { AitRun, writeAgentFile } from '../support/ait-run.ts';
import { BadProxy } from '../support/bad-proxy.ts';
import { startMesh } from '../support/mesh.ts';

const HELLO = ['node', '-e', 'console.log("started")'];

test('the agent is not started before the mesh admits it; what is in the way is told with what to do', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false, approve: false } } });
  const file = await writeAgentFile(mesh, 'planner');
  const run = new AitRun(t, file, HELLO, { flags: ['--wait', '60s'] });
  await run.said(/ait: waiting: BASELINE_MISSING: .*\n {2}try: /);
  assert.equal(run.out, '');
  await mesh.approve('planner', { id: 'planner-1', files: mesh.agent('planner').files });
  assert.equal(await run.code(), 0, run.err);
  assert.equal(run.out, 'started\n');
});

test('an agent that the mesh goes on refusing is never started: exit code 4, the code, what to do, where the log is', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const planner = mesh.agent('planner');
  await planner.files.writePrompt('You are somebody else.\n');
  const run = new AitRun(t, await writeAgentFile(mesh, 'planner'), HELLO, { flags: ['--wait', '3s'] });
  assert.equal(await run.code(), 4, run.err);
  assert.equal(run.out, '');
  assert.match(
    run.err,
    /ait: AGENT_REFUSED: .*after 3 s, and the agent was not started.*\n {4}standing: SYSTEM_PROMPT_DRIFT: /,
  );
  assert.match(run.err, /\n {2}try: .+\n$/);
  assert.match(run.err, /ait: the sidecar's log is .*run-state\/sidecar\.log/);
});

test('an authority that is not there is told while waiting; exit code 5', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const file = await writeAgentFile(mesh, 'planner');
  await mesh.authority.process.kill();
  const run = new AitRun(t, file, HELLO, { flags: ['--wait', '2s'] });
  await run.said(/ait: waiting: cannot reach the authority: .*ECONNREFUSED/);
  assert.equal(await run.code(), 5, run.err);
  assert.match(run.err, /ait: AUTHORITY_UNREACHABLE: [\s\S]*\n {4}join: cannot reach the authority/);
  assert.equal(run.out, '');
});

test('the agent is started as soon as the authority comes up', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const file = await writeAgentFile(mesh, 'planner');
  await mesh.authority.process.kill();
  const run = new AitRun(t, file, HELLO, { flags: ['--wait', '60s'] });
  await run.said(/cannot reach the authority/);
  await mesh.authority.start();
  assert.equal(await run.code(), 0, run.err);
  assert.equal(run.out, 'started\n');
});

test('a credential that lets nobody in is final: exit code 4 without waiting', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const { folder } = mesh.agent('planner');
  await writeFile(join(folder, 'credential'), await mesh.authority.credential('planner', { uses: 1 }));
  const file = await writeAgentFile(mesh, 'planner');
  const first = new AitRun(t, file, HELLO);
  assert.equal(await first.code(), 0, first.err);
  const second = new AitRun(t, file, HELLO, { flags: ['--wait', '10m'] });
  assert.equal(await second.code(), 4, second.err);
  assert.match(second.err, /ait: JOIN_REFUSED: .*\n[\s\S]* {2}try: /);
  assert.equal(second.out, '');
});

test('asked to stop while it waits, it ends at once as the signal says, and the agent is never started', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const proxy = await BadProxy.start(t, () => mesh.authority.address);
  const file = await writeAgentFile(mesh, 'planner', {
    authority: { join_credential: join(mesh.agent('planner').folder, 'credential'), address: proxy.address },
  });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const came = new Promise<void>((resolve) => (proxy.misbehave = () => resolve()));
    const run = new AitRun(t, file, HELLO, { flags: ['--wait', '10m'] });
    await came;
    run.signalGroup(signal);
    assert.equal(await run.code(), code, run.err);
    assert.equal(run.out, '');
  }
});

test('an agent that is refused while it runs goes on running, and it is told', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const run = new AitRun(t, await writeAgentFile(mesh, 'planner'), [
    'node',
    '-e',
    'console.log("up"); setInterval(() => 0, 999)',
  ]);
  await run.printed(/up/);
  await mesh.agent('planner').files.writePrompt('You are somebody else.\n');
  await run.said(/ait: the mesh refuses this agent: SYSTEM_PROMPT_DRIFT: .*\n {2}try: /);
  await mesh.agent('planner').files.writePrompt('You are planner. Be brief.\n');
  await run.said(/ait: the mesh admits this agent again/);
  run.signal('SIGTERM');
  assert.equal(await run.code(), 143, run.err);
});
