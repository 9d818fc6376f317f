import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { AitRun, writeAgentFile } from '../support/ait-run.ts';
import { startMesh } from '../support/mesh.ts';
import { runAit } from '../support/run-ait.ts';

const PATIENT = { deadlineMs: 60_000 };

test('the exit code of ait run is the agent’s, and standard output is the agent’s alone', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const file = await writeAgentFile(mesh, 'planner');

  const seven = new AitRun(t, file, ['node', '-e', 'console.log("hello"); process.exitCode = 7']);
  assert.equal(await seven.code(), 7, seven.err);
  assert.equal(seven.out, 'hello\n');
  // On a slow machine it may say what it waits for.
  assert.deepEqual(
    seven.err.split('\n').filter((line) => line !== '' && !line.startsWith('ait: waiting: ')),
    [],
  );

  const well = new AitRun(t, file, ['true']);
  assert.equal(await well.code(), 0, well.err);

  for (const [signal, code] of [
    ['SIGKILL', 137],
    ['SIGTERM', 143],
    ['SIGSEGV', 139],
  ] as const) {
    const ended = new AitRun(t, file, [
      'node',
      '-e',
      `process.kill(process.pid, '${signal}'); setInterval(() => 0, 999)`,
    ]);
    assert.equal(await ended.code(), code, ended.err);
  }
});

test('arguments reach the agent as they are, with addresses filled in; standard input, too', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false, calls: ['researcher'] }, researcher: {} } });
  const file = await writeAgentFile(mesh, 'planner', { peers: [{ agent: 'researcher' }] });
  const script = 'console.log(JSON.stringify(process.argv.slice(1))); process.stdin.pipe(process.stdout)';
  const args = ['--flag', '-x', '', 'two words', '--', '--wait', '${HOME} $(id)', 'at=${peer.researcher.path}'];
  const run = new AitRun(t, file, ['node', '-e', script, '--', ...args]);
  const seen = JSON.parse((await run.printed(/\n/)).split('\n')[0] ?? '') as string[];
  assert.deepEqual(seen, [...args.slice(0, -1), `at=${mesh.agent('planner').folder}/run-state/run/to-researcher.sock`]);
  run.say('what is typed\n');
  await run.printed(/what is typed/);
  run.signal('SIGTERM');
  assert.equal(await run.code(), 143, run.err);
});

test('a command that is not there is 127, one that cannot be executed 126, and no sidecar was started for it', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const { folder } = mesh.agent('planner');
  const file = await writeAgentFile(mesh, 'planner');
  const plain = join(folder, 'agent.py');
  await writeFile(plain, 'print(1)\n', { mode: 0o600 });
  for (const [program, code, words] of [
    ['no-such-agent', 127, /no-such-agent: command not found\n {2}try: is it installed/],
    ['./no-such-agent', 127, /command not found/],
    [plain, 126, /agent\.py: cannot be executed\n {2}try: chmod \+x/],
    [folder, 126, /cannot be executed/],
  ] as const) {
    const run = new AitRun(t, file, [program]);
    assert.equal(await run.code(), code, run.err);
    assert.match(run.err, words);
  }
  assert.equal(existsSync(join(folder, 'run-state')), false);

  // What the system finds out only when it tries: an interpreter that is not there.
  const script = join(folder, 'agent.sh');
  await writeFile(script, '#!/no/such/interpreter\n', { mode: 0o700 });
  const run = new AitRun(t, file, [script]);
  assert.equal(await run.code(), 127, run.err);
  assert.match(run.err, /agent\.sh could not be started: /);
});

test('all that is wrong with agent.yaml and the command is told at once, with exit code 2', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const file = await writeAgentFile(mesh, 'planner', {
    authority: {},
    peers: [{ agent: 'a b' }],
    metrics: { listn: 'x' },
  });
  const shape = await runAit(['run', file, '--', 'true'], PATIENT);
  assert.equal(shape.code, 2, shape.output);
  for (const words of [
    /authority\.join_credential: is required/,
    /peers\[0\]\.agent: expected an agent name or SPIFFE ID/,
    /metrics\.listn: is not a setting .*agent\.yaml:\d+:\d+/,
  ]) {
    assert.match(shape.output, words);
  }

  await writeAgentFile(mesh, 'planner', {
    peers: [{ agent: 'web-search' }, { agent: 'web.search' }],
    env: { AIT_ADMIN: 'x', '1st': 'x', WHERE: '${listen}' },
    measure: { ...mesh.agent('planner').files.section, agent_uid: 4_000_000 },
  });
  const sense = await runAit(['run', file, '--check-config', '--', 'true', '${peer.nobody}'], PATIENT);
  assert.equal(sense.code, 2, sense.output);
  for (const words of [
    /peers\[1\]\.agent: web\.search and web-search would both be AIT_PEER_WEB_SEARCH/,
    /env\.AIT_ADMIN: AIT_ variables are set by ait run/,
    /env\.1st: is no name of a variable/,
    /env\.WHERE: \$\{listen\} stands for nothing here/,
    /command\[1\]: \$\{peer\.nobody\} stands for nothing here \(command line\)/,
    /measure\.agent_uid: the agent is run as user \d+: leave it out/,
  ]) {
    assert.match(sense.output, words);
  }

  for (const [args, words] of [
    [[file], /there is no command to run/],
    [[file, '--wait', 'soon', '--', 'true'], /--wait soon/],
    [[join(mesh.folder, 'nowhere.yaml'), '--', 'true'], /cannot be read: .*nowhere\.yaml/],
  ] as const) {
    await writeAgentFile(mesh, 'planner');
    const { code, output } = await runAit(['run', ...args], PATIENT);
    assert.equal(code, 2, output);
    assert.match(output, words);
  }
  const well = await runAit(['run', file, '--check-config'], PATIENT);
  assert.deepEqual([well.code, /agent\.yaml: in order/.test(well.output)], [0, true], well.output);
});
