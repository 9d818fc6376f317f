import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Daemon, findProgram, freePort, run } from '../support/debian-program.ts';
import { startMesh } from '../support/mesh.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Debian's own: another interpreter earlier in PATH does not see Debian's packages. */
const PYTHON = '/usr/bin/python3';

before(async () => {
  findProgram('python3', 'python3');
  const { code, stderr } = await run(PYTHON, ['-c', 'import grpc']);
  assert.equal(code, 0, `${PYTHON} has no grpc: apt-get install python3-grpcio (Debian, Ubuntu)\n${stderr}`);
});

interface Report {
  readonly name: string;
  readonly [fact: string]: unknown;
}

function reportsIn(text: string): Map<string, Report> {
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return new Map(lines.map((line) => JSON.parse(line) as Report).map((report) => [report.name, report]));
}

test('grpcio on both sides, through two sidecars: every kind of call as if there were none', async (t) => {
  const server = new Daemon(t, PYTHON, [here('grpcio/server.py')]);
  const [, address] = await server.says(/ready (\S+)/);
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: { app: false, config: { app: { address: address! } } } },
  });
  const planner = mesh.agent('planner');
  const target = `unix:${planner.socketTo('researcher')}`;
  const { code, stdout, stderr } = await run(PYTHON, [here('grpcio/client.py'), target, 'all']);
  assert.equal(code, 0, stderr);
  const reports = reportsIn(stdout.toString());

  const expected: readonly [string, Readonly<Record<string, unknown>>][] = [
    ['unary', { response: 'hello', first: 'one', last: 'done', binary: true }],
    ['large', { same: true, length: 3_145_728 }],
    ['server streaming', { same: true }],
    ['client streaming', { response: 'a,b,c' }],
    ['both ways', { answers: ['X', 'Y'] }],
    ['status', { code: 'FAILED_PRECONDITION', details: 'not today: please' }],
    ['unimplemented', { code: 'UNIMPLEMENTED' }],
    ['deadline', { code: 'DEADLINE_EXCEEDED' }],
    ['cancel', { code: 'CANCELLED', some: ['0', '1', '2'] }],
  ];
  for (const [name, facts] of expected) {
    await t.test(name, () => {
      const report = reports.get(name);
      assert.ok(report !== undefined, stdout.toString());
      for (const [fact, value] of Object.entries(facts)) assert.deepEqual(report[fact], value, `${name}: ${fact}`);
    });
  }

  await t.test('a deadline and a cancellation reach the server', async () => {
    assert.ok(Number(reports.get('deadline')?.['seconds']) < 5);
    await server.says(/over deadline/);
    await server.says(/over cancelled/);
  });

  await t.test(
    'drift while a stream runs: PERMISSION_DENIED at once, on the server the call is over, too',
    async (t) => {
      const client = new Daemon(t, PYTHON, [here('grpcio/client.py'), target, 'stream']);
      await client.says(/streaming/);
      await planner.files.writePrompt('You are poisoned.\n');
      await client.says(/\{.*"name": "stream".*\}/);
      assert.equal(reportsIn(client.output).get('stream')?.['code'], 'PERMISSION_DENIED');
      await server.says(/over stream/);
      await planner.waitForVerdict({ code: 'SYSTEM_PROMPT_DRIFT' });
    },
  );
});

test('the example researcher in Python answers the example planner through two sidecars', async (t) => {
  const address = `127.0.0.1:${await freePort()}`;
  const researcher = new Daemon(t, PYTHON, [here('../../examples/researcher-python/researcher.py')], {
    LISTEN: address,
  });
  await researcher.says(/ready on/);
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: { app: false, config: { app: { address } } } },
  });
  const planner = here('../../examples/planner/planner.ts');
  const env = {
    RESEARCHER: `unix:${mesh.agent('planner').socketTo('researcher')}`,
    FINDINGS: '5',
    FINDING_EVERY_MS: '10',
  };
  const { code, stdout, stderr } = await run(process.execPath, ['--import', 'tsx', planner, '--once'], { env });
  assert.equal(code, 0, stdout.toString() + stderr);
});
