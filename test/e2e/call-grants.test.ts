import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import { runAit } from '../support/run-ait.ts';

const DEADLINE = { deadlineMs: 30_000 };
const GRANT = 'kind: Grant\nfrom: planner\nto: [researcher]\n';

/** `ait` as an operator of this mesh. */
async function ait(mesh: TestMesh, ...args: readonly string[]) {
  return runAit([...args, '--admin', join(mesh.authority.stateDir, 'admin.sock')], DEADLINE);
}

test('a policy file with a bad pattern is refused by name, and what was in force stays', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const planner = mesh.agent('planner');
  const { process } = mesh.authority;
  assert.equal(await planner.call('researcher', 'before'), 'before');
  for (const [calls, field, line, says] of [
    ['calls:\n  - POST /search.v1.Search/*\n  - POST /docs/../admin\n', 'calls[1]', 6, /a segment \. or \.\./],
    ['calls: []\n', 'calls', 4, /empty list, and so permits nothing/],
    ['calls:\n  - get /docs\n', 'calls[0]', 5, /upper case/],
    ['calls:\n  - /docs/.*|/admin\n', 'calls[0]', 5, /a character in its path/],
  ] as const) {
    const from = process.mark();
    await mesh.authority.writePolicy('grants/planner', `${GRANT}${calls}`);
    const told = await process.waitFor('policy_problem', ({ field: named }) => named === field, { from, ...DEADLINE });
    assert.deepEqual([told['file'], told['line'], told['severity']], ['grants/planner.yaml', line, 'error']);
    assert.match(String(told['message']), says);
    assert.equal(await planner.call('researcher', field), field);
  }
});

test('an operator limits a grant by the call, is told what is no pattern, and undo brings it all back', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const planner = mesh.agent('planner');
  assert.equal(await planner.call('researcher', 'before'), 'before');

  for (const [args, says] of [
    [['limit', 'planner', 'researcher', '--call', 'post /a'], /--call "post \/a": has a method .*upper case/],
    [['limit', 'planner', 'researcher', '--call', '/a', '--call', '/a//b'], /--call "\/a\/\/b": has \/\//],
    [['limit', 'planner', 'researcher', '--call', '/a', '--call', '/a'], /--call "\/a": twice/],
    [['add', 'planner', 'researcher', '--call', ''], /--call "": has a path that does not begin/],
    [['limit', 'planner', 'researcher'], /required option '--call/],
    [['withdraw', 'planner', 'researcher', '--call', '/a'], /unknown option '--call'/],
  ] as const) {
    const { code, output } = await ait(mesh, 'grant', ...args);
    assert.equal(code, 2, output);
    assert.match(output, says);
  }

  const limit = ['grant', 'limit', 'planner', 'researcher', '--call', 'POST /search.v1.Search/*', '--call', '/docs/**'];
  const tried = await ait(mesh, ...limit, '--dry-run');
  assert.equal(tried.code, 0, tried.output);
  assert.match(
    tried.output,
    /nothing was changed; it would be: grant planner>researcher changed, for POST \/search\.v1\.Search\/\*, \/docs\/\*\*/,
  );

  const applied = planner.sidecar.mark();
  const limited = await ait(mesh, ...limit, '--json');
  assert.equal(limited.code, 0, limited.output);
  assert.match(limited.output, /"applied":true,.*"sessions_ending":0/);
  await planner.waitFor('state_applied', () => true, { from: applied, ...DEADLINE });

  const more = await ait(mesh, 'grant', 'limit', 'planner', 'researcher', '--call', '/admin');
  assert.equal(more.code, 4, more.output);
  assert.match(more.output, /CHANGE_INVALID: \/admin is not one of the calls/);

  const undone = planner.sidecar.mark();
  assert.equal((await ait(mesh, 'undo')).code, 0);
  await planner.waitFor('state_applied', () => true, { from: undone, ...DEADLINE });
  assert.equal(await planner.call('researcher', 'after'), 'after');

  const help = await ait(mesh, 'grant', 'limit', '--help');
  assert.match(help.output, /--call <pattern> +a path, or methods and a path/);
});
