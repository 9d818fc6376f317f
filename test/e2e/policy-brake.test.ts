import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { awaitAddress, startMesh, type TestMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runAit } from '../support/run-ait.ts';

const DEADLINE = { deadlineMs: 30_000 };

/** `ait` as an operator of this mesh. */
async function ait(mesh: TestMesh, ...args: readonly string[]) {
  return runAit([...args, '--admin', join(mesh.authority.stateDir, 'admin.sock')], DEADLINE);
}

/** Until the authority has heard of so many sessions, from both sides each. */
async function sessionsReported(mesh: TestMesh, count: number): Promise<void> {
  const ask = async () => {
    const text = await httpGet({ socketPath: join(mesh.authority.stateDir, 'admin.sock') }, '/instances');
    return (JSON.parse(text) as { sessions: number }[]).reduce((sum, { sessions }) => sum + sessions, 0);
  };
  await pollUntil(ask, (reported) => reported >= 2 * count, DEADLINE);
}

function braked(t: TestContext, agents: Parameters<typeof startMesh>[1]['agents']): Promise<TestMesh> {
  return startMesh(t, { agents, authority: { impact_limit: 5 } });
}

test('a file that would cut is held and calls go on; accepted it cuts; undo brings back; a revocation never waits', async (t) => {
  const mesh = await braked(t, { planner: { calls: ['researcher'] }, researcher: {} });
  const planner = mesh.agent('planner');
  assert.equal(await planner.call('researcher', 'one'), 'one');
  await sessionsReported(mesh, 1);
  const file = join(mesh.authority.policyDir, 'baselines/planner-1.yaml');
  const good = await readFile(file, 'utf8');
  const hash = /sha256:[0-9a-f]{64}/;

  await mesh.authority.writePolicy('baselines/planner-1', good.replace(hash, `sha256:${'0'.repeat(64)}`));
  const held = await mesh.authority.process.waitFor('policy_held', () => true, DEADLINE);
  assert.equal(held['sessions_ending'], 1);
  assert.equal(await planner.call('researcher', 'two'), 'two');
  const digest = String(held['digest']);
  const shown = await ait(mesh, 'policy', 'show');
  assert.match(shown.output, new RegExp(`HELD by the brake.*[^]*ait policy accept ${digest} --accept-impact=1`));

  assert.match((await ait(mesh, 'status')).output, /1 file\(s\) held; see: ait policy show/);

  const refused = await ait(mesh, 'policy', 'accept', digest);
  assert.equal(refused.code, 4, refused.output);
  assert.match(refused.output, /IMPACT_TOO_LARGE: 1 of 1 sessions would end/);
  assert.match(refused.output, /planner [0-9a-f]{8} +researcher [0-9a-f]{8} +SYSTEM_PROMPT_DRIFT +at once/);
  assert.match(refused.output, new RegExp(`ait policy accept ${digest} --admin .* --accept-impact=1`));
  assert.equal(await planner.call('researcher', 'three'), 'three');

  const connection = planner.connect('researcher');
  connection.socket.write('.');
  await connection.read(1);
  const accepted = await ait(mesh, 'policy', 'accept', digest, '--accept-impact=1');
  assert.equal(accepted.code, 0, accepted.output);
  await connection.closed;
  await planner.waitForVerdict({ code: 'SYSTEM_PROMPT_DRIFT', subject: 'self' });

  const from = planner.sidecar.mark();
  const undone = await ait(mesh, 'undo');
  assert.equal(undone.code, 0, undone.output);
  assert.match(undone.output, /undo of revision 2: .*baseline planner-1.*[^]*baselines\/planner-1\.yaml/);
  await planner.waitFor('standing_in_order', () => true, { from, ...DEADLINE });
  assert.equal(await planner.call('researcher', 'four'), 'four');

  const open = planner.connect('researcher');
  open.socket.write('.');
  await open.read(1);
  await sessionsReported(mesh, 1);
  const revoked = await ait(mesh, 'baseline', 'revoke', 'planner-1');
  assert.equal(revoked.code, 0, revoked.output);
  await open.closed;
  const log = mesh.authority.process.lines.filter(({ event }) => event === 'policy_changed');
  assert.ok(log.every(({ operator }) => operator === 'local') && log.length >= 3);
});

test('retire drains and revoke cuts, side by side', async (t) => {
  const mesh = await braked(t, {
    retiree: { calls: ['researcher'] },
    culprit: { calls: ['researcher'] },
    researcher: {},
  });
  const [retiree, culprit] = [mesh.agent('retiree'), mesh.agent('culprit')];
  const connections = [retiree, culprit].map((agent) => agent.connect('researcher'));
  for (const { socket } of connections) socket.write('.');
  await Promise.all(connections.map((connection) => connection.read(1)));
  await sessionsReported(mesh, 2);

  const retired = await ait(mesh, 'baseline', 'retire', 'retiree-1', '--json');
  assert.equal(retired.code, 0, retired.output);
  assert.match(retired.output, /"sessions_ending":0,.*"sessions_draining":1/);
  const revoked = await ait(mesh, 'baseline', 'revoke', 'culprit-1', '--json');
  assert.equal(revoked.code, 0, revoked.output);
  assert.match(revoked.output, /"sessions_ending":0,"sessions_revoked":1/);
  await connections[1]?.closed;
  connections[0]?.socket.write('!');
  assert.equal((await connections[0]?.read(1))?.toString(), '!', 'what was open goes on');
  connections[0]?.socket.destroy();
});

test('five operators change one agent at once: one wins, the others are told who', async (t) => {
  const mesh = await braked(t, { planner: {} });
  const before = JSON.parse((await ait(mesh, 'policy', 'show', '--json')).output.split('\n')[1] ?? '{}') as {
    revision: number;
  };
  const outcomes = await Promise.all(
    Array.from({ length: 5 }, (_, turn) =>
      ait(mesh, 'agent', turn % 2 === 0 ? 'suspend' : 'retire', 'planner', `--base-revision=${before.revision}`),
    ),
  );
  assert.deepEqual(outcomes.map(({ code }) => code).toSorted(), [0, 4, 4, 4, 4], outcomes[0]?.output);
  for (const { output } of outcomes.filter(({ code }) => code === 4)) {
    assert.match(output, /POLICY_MOVED_ON: .*by local: agent planner (suspended|retired)/);
  }
});

test('operators approve and grant without a file, and a restart changes nothing', async (t) => {
  const mesh = await braked(t, { planner: { calls: ['researcher'] }, researcher: {} });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const file = await readFile(join(mesh.authority.policyDir, 'baselines/planner-1.yaml'), 'utf8');
  const approved = join(mesh.authority.folder, 'approved.yaml');
  await writeFile(approved, file.replace(/^id: .*/m, 'id: planner-9'));
  for (const args of [
    ['baseline', 'approve', approved],
    ['grant', 'add', 'researcher', 'planner'],
  ]) {
    const outcome = await ait(mesh, ...args);
    assert.equal(outcome.code, 0, outcome.output);
  }
  await awaitAddress(researcher, planner.inbound, DEADLINE.deadlineMs);
  assert.equal((await ait(mesh, 'grant', 'withdraw', 'planner', 'researcher')).code, 0);
  assert.equal((await ait(mesh, 'grant', 'add', 'planner', 'researcher')).code, 0);
  await awaitAddress(planner, researcher.inbound, DEADLINE.deadlineMs);
  assert.equal(await planner.call('researcher', 'hello'), 'hello');
  await mesh.authority.process.stop();
  await mesh.authority.start();
  const again = await ait(mesh, 'grant', 'add', 'researcher', 'planner');
  assert.equal(again.code, 0, again.output);
  assert.match(again.output, /nothing to change.*[^]*the grant is in force already/);

  const owned = await ait(mesh, 'agent', 'register', 'planner', '--sponsor', 'u-9');
  assert.equal(owned.code, 4, owned.output);
  assert.match(owned.output, /OWNED_BY_FILE: .*agents\/planner\.yaml:1/);
  const stolen = join(mesh.authority.folder, 'stolen.yaml');
  await writeFile(stolen, file.replace(/^agent: .*/m, 'agent: researcher'));
  const wrong = await ait(mesh, 'baseline', 'approve', stolen);
  assert.match(wrong.output, /BASELINE_OF_ANOTHER_AGENT: baseline planner-1 is of planner/);
  assert.equal((await ait(mesh, 'agent', 'observe', 'planner')).code, 2);
  assert.equal((await ait(mesh, 'notices')).code, 0);
});

test('a state that cannot be written leaves the old policy in force everywhere', async (t) => {
  const mesh = await braked(t, { planner: { calls: ['researcher'] }, researcher: {} });
  const planner = mesh.agent('planner');
  const connection = planner.connect('researcher');
  connection.socket.write('.');
  await connection.read(1);
  // No file of any size can be written any more, as on a full disk.
  execFileSync('prlimit', ['--pid', String(mesh.authority.process.pid), '--fsize=1024:']);
  const refused = await ait(mesh, 'agent', 'suspend', 'planner', '--accept-impact=9');
  assert.equal(refused.code, 4, refused.output);
  assert.match(refused.output, /STATE_NOT_WRITTEN: nothing was changed/);
  connection.socket.write('!');
  assert.equal((await connection.read(1)).toString(), '!');
  execFileSync('prlimit', ['--pid', String(mesh.authority.process.pid), '--fsize=unlimited:']);
  const done = await ait(mesh, 'agent', 'suspend', 'planner', '--accept-impact=9');
  assert.equal(done.code, 0, done.output);
  await connection.closed;
});
