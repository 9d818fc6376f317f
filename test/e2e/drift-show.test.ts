import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { askAuthority, type AuthorityQuestion } from '../../src/cli/operator/authority-client.ts';
import { httpGet } from '../support/admin-request.ts';
import { AgentFiles } from '../support/agent-files.ts';
import { startMesh } from '../support/mesh.ts';
import { createOperator, elsewhere } from '../support/operators.ts';
import { pollUntil } from '../support/poll-until.ts';

const CANARY = 'canary-0b77e2-do-not-leak';
const LATE = { deadlineMs: 30_000 };

interface PromptView {
  readonly unified_diff: string;
}

interface InstanceView {
  readonly id: string;
  readonly state: string;
  readonly drifted: boolean;
}

test('ait drift show: the one way in which text of a prompt leaves a sidecar', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const { authority } = mesh;
  const planner = mesh.agent('planner');
  const admin = await createOperator(authority, 'ada', { role: 'admin' });
  const viewer = await createOperator(authority, 'vera', { role: 'viewer' });
  const ait = await elsewhere(t);
  const show = (...args: readonly string[]) => ait(['drift', 'show', ...args, '--operator', admin]);
  const ask = (method: 'GET' | 'POST', path: `/${string}`, more: Pick<AuthorityQuestion, 'query' | 'body'>) =>
    askAuthority({ admin: authority.adminSocket }, { method, path, ...more });
  const instances = async () => (await ask('GET', '/instances', { query: { agent: 'planner' } })) as InstanceView[];
  await pollUntil(instances, ([one]) => one?.state === 'ready', LATE);

  await t.test('nothing differs: exit code 3', async () => {
    const { code, output } = await show('planner');
    assert.equal(code, 3, output);
    assert.match(output, /No prompt of planner differs/);
  });

  const disclosed: string[] = [];
  await t.test('an admin sees the diff; control characters in it do nothing to the terminal', async () => {
    await planner.files.writePrompt(`You are planner. Be brief.\n${CANARY} \u001b[2J\u202eevil\n`);
    await pollUntil(instances, ([one]) => one?.drifted === true, LATE);
    const { code, output } = await show('planner');
    disclosed.push(output);
    assert.equal(code, 0, output);
    assert.match(output, /prompt main/);
    assert.match(output, /approved +sha256:[0-9a-f]{64}/);
    assert.match(output, /the text differs, from byte 27 on/);
    assert.match(output, / You are planner\. Be brief\.\n/);
    assert.ok(output.includes(`+${CANARY} \\u{1b}[2J\\u{202e}evil`), output);
  });

  await t.test(
    'it is logged with the name of the operator, by the authority and by the sidecar, without the text',
    async () => {
      const theirs = await authority.process.waitFor('prompt_disclosed', (line) => line['outcome'] === 'answered');
      assert.equal(theirs['operator'], 'ada');
      const ours = await planner.waitFor('prompt_disclosed');
      assert.equal(ours['operator'], 'ada');
      await authority.process.waitFor('operator_request', (line) => line['path'] === '/drift/show');
    },
  );

  await t.test('a viewer is refused, and the sidecar is not even asked', async () => {
    const before = planner.sidecar.lines.filter(({ event }) => event === 'prompt_disclosed').length;
    const { code, output } = await ait(['drift', 'show', 'planner', '--operator', viewer]);
    assert.equal(code, 4, output);
    assert.ok(!output.includes(CANARY));
    assert.equal(planner.sidecar.lines.filter(({ event }) => event === 'prompt_disclosed').length, before);
  });

  await t.test('whitespace alone is named as such; a long difference is cut at 128 KiB', async () => {
    await planner.files.writePrompt('You are planner.  Be brief.\n');
    await pollUntil(
      () => show('planner'),
      ({ output }) => output.includes('only whitespace differs, from byte 17'),
      LATE,
    );
    await planner.files.writePrompt(`${CANARY} and so on\n`.repeat(20_000));
    const { prompts } = await pollUntil(
      async () => (await ask('POST', '/drift/show', { body: { agent: 'planner' } })) as { prompts: PromptView[] },
      (answer) => answer.prompts[0]?.unified_diff.includes('cut here') === true,
      LATE,
    );
    assert.ok(Buffer.byteLength(prompts[0]!.unified_diff) <= 128 * 1024);
  });

  await t.test('an approved text that this sidecar has never seen: digests only', async () => {
    const files = new AgentFiles(join(mesh.folder, 'elsewhere'));
    await files.create('planner');
    await files.writePrompt('You are another planner.\n');
    await mesh.approve('planner', { id: 'planner-2', files });
    const path = join(authority.policyDir, 'baselines/planner-1.yaml');
    const baseline = await readFile(path, 'utf8');
    await authority.writePolicy('baselines/planner-1', `${baseline.replace(/^state: .*\n/m, '')}state: revoked\n`);
    const { code, output } = await pollUntil(
      () => show('planner'),
      (outcome) => outcome.output.includes('does not know the approved text'),
      LATE,
    );
    assert.equal(code, 0, output);
    assert.match(output, /approved +sha256:[0-9a-f]{64}\n *measured +sha256:[0-9a-f]{64}/);
  });

  await t.test(
    'several instances: which one is meant has to be said; gone and unknown ones are told apart',
    async () => {
      const second = await mesh.addInstance('planner-b', {
        agent: 'planner',
        files: planner.files,
        spec: { start: false },
      });
      await second.start({ awaitReady: false });
      const both = await pollUntil(
        instances,
        (all) => all.filter(({ state }) => state === 'not_ready').length === 2,
        LATE,
      );
      const { code, output } = await show('planner');
      assert.equal(code, 4, output);
      assert.match(output, /SEVERAL_INSTANCES/);
      for (const { id } of both) assert.ok(output.includes(id.slice(0, 8)), output);
      assert.equal((await show('planner', '--instance', both[0]!.id)).code, 0);
      await second.sidecar.kill();
      const gone = await pollUntil(instances, (all) => all.some(({ state }) => state === 'gone'), LATE);
      const answer = await show('planner', '--instance', gone.find(({ state }) => state === 'gone')!.id);
      assert.equal(answer.code, 4, answer.output);
      assert.match(answer.output, /INSTANCE_GONE/);
      assert.match((await show('planner', '--instance', 'abc123')).output, /INSTANCE_UNKNOWN/);
      assert.match((await show('researcher', '--instance', both[0]!.id)).output, /INSTANCE_UNKNOWN/);
      assert.match((await show('nobody')).output, /NO_INSTANCE/);
    },
  );

  await t.test('an instance that does not answer: a timeout, in words', async () => {
    planner.sidecar.signal('SIGSTOP');
    const { code, output } = await show('planner');
    planner.sidecar.signal('SIGCONT');
    assert.equal(code, 4, output);
    assert.match(output, /INSTANCE_SILENT: .*no answer within/);
  });

  await t.test('nothing of the text is anywhere else: logs, metrics, reports, state of the authority', async () => {
    assert.ok(
      disclosed.some((output) => output.includes(CANARY)),
      'the test would prove nothing',
    );
    for (const { name, lines } of mesh.processes) {
      const ours = lines.filter(({ event }) => event !== 'unstructured_output');
      assert.ok(!JSON.stringify(ours).includes(CANARY), `the log of ${name} has it`);
    }
    const ready = await authority.process.waitFor('authority_ready');
    for (const address of [ready['metrics_listen'] as string, planner.addresses.metrics]) {
      assert.ok(!(await httpGet({ address }, '/metrics')).includes(CANARY));
    }
    for (const path of ['/status', '/decisions', '/sessions', '/config']) {
      assert.ok(!(await planner.admin(path)).includes(CANARY), path);
    }
    for (const file of await readdir(authority.stateDir, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      assert.ok(!(await readFile(join(file.parentPath, file.name), 'latin1')).includes(CANARY), file.name);
    }
  });
});
