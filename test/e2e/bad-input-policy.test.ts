import assert from 'node:assert/strict';
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PolicyProblem } from '../../src/authority/policy/policy-yaml.ts';
import { httpGet } from '../support/admin-request.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startMesh, type TestMesh } from '../support/mesh.ts';

const FILE = 'baselines/planner-1';

async function problems({ authority }: TestMesh): Promise<PolicyProblem[]> {
  return JSON.parse(
    await httpGet({ socketPath: join(authority.stateDir, 'admin.sock') }, '/policy-problems'),
  ) as PolicyProblem[];
}

/** Changes the policy directory, and awaits the authority's word on the file. */
async function changed(mesh: TestMesh, file: string, change: () => Promise<unknown>): Promise<PolicyProblem> {
  const { process } = mesh.authority;
  const from = process.mark();
  await change();
  const line = await process.waitFor('policy_problem', (each) => each['file'] === `${file}.yaml`, { from });
  const told = (await problems(mesh)).find((each) => each.file === `${file}.yaml` && each.message === line['message']);
  assert.ok(told !== undefined, 'GET /policy-problems says the same');
  assert.equal(told.line, line['line']);
  return told;
}

async function metric({ authority }: TestMesh, series: string): Promise<number> {
  const { metrics_listen: address } = await authority.process.waitFor('authority_ready');
  const text = await httpGet({ address: address as string }, '/metrics');
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1],
  );
}

test('a baseline that breaks, vanishes or is emptied is named by file and line, and withdraws nothing', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const planner = mesh.agent('planner');
  const { authority } = mesh;
  const good = await readFile(join(authority.policyDir, `${FILE}.yaml`), 'utf8');
  const repaired = async () => {
    await authority.writePolicy(FILE, good);
    await pollUntil(
      () => problems(mesh),
      (all) => all.every(({ file }) => file !== `${FILE}.yaml`),
    );
  };

  await t.test('a new file that is broken, beside good ones: those come into force', async () => {
    const broken = 'kind: Baseline\nid: broken\nagent: [planner\nstate: approved\n';
    const told = await changed(mesh, 'baselines/broken', () => authority.writePolicy('baselines/broken', broken));
    assert.equal(told.severity, 'error');
    assert.equal(told.line, 4);
    assert.match(told.message, /not valid YAML/);
    assert.equal(await metric(mesh, 'ait_policy_problems{severity="error"}'), 1);

    const before = await readFile(planner.files.prompt, 'utf8');
    const from = planner.sidecar.mark();
    await planner.files.writePrompt('You are planner, version 2.\n');
    await planner.waitForVerdict({ code: 'SYSTEM_PROMPT_DRIFT', subject: 'self' }, { from });
    await mesh.approve('planner', { id: 'planner-2', files: planner.files });
    await planner.waitFor('standing_in_order', ({ baseline }) => baseline === 'planner-2', { from });
    const back = planner.sidecar.mark();
    await planner.files.writePrompt(before);
    await planner.waitFor('measurement_changed', () => true, { from: back });
    assert.equal(await planner.call('researcher', 'both'), 'both');
    await authority.removePolicy('baselines/broken');
  });

  const open = planner.connect('researcher');
  const goesOn = async () => {
    open.socket.write('.');
    assert.equal((await open.read(1)).toString(), '.', 'the session that was open still is');
  };
  for (const { what, change, severity, line, says } of [
    {
      what: 'breaks',
      change: () => authority.writePolicy(FILE, good.replace(/^agent:.*$/m, 'agent: planner]: x')),
      severity: 'error',
      line: 1,
      says: /./,
    },
    {
      what: 'loses a field',
      change: () => authority.writePolicy(FILE, good.replace(/^agent:.*\n/m, '')),
      severity: 'error',
      line: 1,
      says: /agent is missing/,
    },
    {
      what: 'vanishes',
      change: () => authority.removePolicy(FILE),
      severity: 'warning',
      line: 0,
      says: /planner-1 stays in force.*set `state: retired`/,
    },
    {
      what: 'is emptied',
      change: () => authority.writePolicy(FILE, ''),
      severity: 'warning',
      line: 0,
      says: /planner-1 stays in force/,
    },
  ] as const) {
    await t.test(
      `the file of a baseline in force ${what}: it stays in force, also after the authority was restarted`,
      async () => {
        await goesOn();
        const told = await changed(mesh, FILE, change);
        assert.equal(told.severity, severity);
        assert.ok(told.line >= line, `line ${told.line}`);
        assert.match(`${told.field} ${told.message}`, says);
        await goesOn();

        await authority.process.stop();
        await authority.start();
        assert.ok(
          (await problems(mesh)).some(({ file }) => file === `${FILE}.yaml`),
          'it is still complained about',
        );
        // A process that knows nothing from before gets the baseline from the restarted authority.
        const fresh = await mesh.addInstance(`planner-${what.split(' ')[0]}`, {
          agent: 'planner',
          files: planner.files,
          spec: { calls: [] },
        });
        assert.equal((await fresh.status()).inOrder, true);
        await fresh.sidecar.stop();
        await goesOn();
        await repaired();
      },
    );
  }
  await t.test(
    'the whole directory vanishes: what was in force stays, and it is taken again when it is back',
    async () => {
      const from = authority.process.mark();
      await rename(authority.policyDir, `${authority.policyDir}.away`);
      await authority.process.waitFor('policy_unreadable', () => true, { from });
      assert.ok((await problems(mesh)).some(({ message }) => /what was in force stays/.test(message)));
      await goesOn();
      await rename(`${authority.policyDir}.away`, authority.policyDir);
      await goesOn();
    },
  );
  open.socket.destroy();
});
