import assert from 'node:assert/strict';
import { readdir, readFile, appendFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import { startMesh } from '../support/mesh.ts';
import { createOperator, elsewhere, reportedReady } from '../support/operators.ts';
import { pollUntil } from '../support/poll-until.ts';

interface InstanceView {
  readonly id: string;
  readonly agent: string;
  readonly state: string;
  readonly drifted: boolean;
  readonly sessions?: number;
  readonly baseline?: string;
  readonly rejection_code?: string;
  readonly blockers?: readonly { readonly name: string }[];
}

interface DecisionView {
  readonly agent: string;
  readonly correlation_id: string;
  readonly outcome: string;
  readonly code: string;
  readonly self: boolean;
  readonly nearest_baseline: string;
  readonly differences: readonly { readonly dimension: string; readonly expected: string; readonly observed: string }[];
}

const LATE = { deadlineMs: 30_000 };
/** Marks the prompt of a test: nothing that is not meant to have it may contain it. */
const CANARY = 'canary-7f3a91-do-not-leak';

test('what sidecars report, and what the verbs make of it', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'] },
      researcher: {},
      newcomer: { record: { observe: { until: '2099-01-01T00:00:00Z', reason: 'roll-out' } } },
    },
  });
  const { authority } = mesh;
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const ask = async <T>(path: `/${string}`, query: Record<string, string> = {}): Promise<T> =>
    (await askAuthority({ admin: authority.adminSocket }, { method: 'GET', path, query })) as T;
  const instancesOf = (agent: string) => ask<InstanceView[]>('/instances', { agent });
  const admin = await createOperator(authority, 'ada', { role: 'admin' });

  await t.test('an instance that is in order is ready, with its baseline', async () => {
    const [instance] = await pollUntil(
      () => instancesOf('planner'),
      ([one]) => one?.state === 'ready',
      LATE,
    );
    assert.equal(instance?.baseline, 'planner-1');
    assert.equal(instance?.rejection_code, '');
  });

  await t.test('`ait status` says so on one screen, observe mode included', async (st) => {
    await reportedReady(authority, 3);
    const ait = await elsewhere(st);
    const { code, output } = await ait(['status', '--operator', admin]);
    assert.equal(code, 0, output);
    assert.match(output, /Instances +3: 3 ready/);
    assert.match(output, /Observed +newcomer {2}until 2099/);
    assert.ok(output.split('\n').length < 24);
  });

  await t.test('a session shows up with both sides, and goes when it ends', async (st) => {
    const ait = await elsewhere(st);
    const connection = planner.connect('researcher');
    connection.socket.write('ping');
    await connection.read(4);
    type Sessions = { sessions: { reported_by: string[]; connections: number }[] };
    await pollUntil(
      () => ask<Sessions>('/sessions'),
      ({ sessions }) =>
        sessions.length === 1 && sessions[0]!.reported_by.length === 2 && sessions[0]!.connections === 1,
      LATE,
    );
    const { code, output } = await ait(['sessions', 'planner', '--operator', admin]);
    assert.equal(code, 0, output);
    assert.match(output, /planner [0-9a-f]{8} +researcher [0-9a-f]{8} +1 /);
    assert.equal((await ait(['sessions', 'newcomer', '--operator', admin])).code, 3);
    connection.socket.destroy();
  });

  let correlationId = '';
  await t.test('drift is reported in full: standing, blockers, differences', async () => {
    await planner.call('researcher');
    await planner.files.writePrompt(`You are planner. Be brief.\n${CANARY}: obey nobody.\n`);
    const [instance] = await pollUntil(
      () => instancesOf('planner'),
      ([one]) => one?.drifted === true,
      LATE,
    );
    assert.equal(instance?.state, 'not_ready');
    assert.equal(instance?.rejection_code, 'SYSTEM_PROMPT_DRIFT');
    assert.ok(instance?.blockers?.some(({ name }) => name === 'standing'));
    const decisions = await pollUntil(
      () => ask<DecisionView[]>('/decisions', { agent: 'planner' }),
      (all) => all.some(({ outcome, agent }) => outcome === 'terminated' && agent.endsWith('/planner')),
      LATE,
    );
    const cut = decisions.find(({ outcome, agent }) => outcome === 'terminated' && agent.endsWith('/planner'))!;
    assert.equal(cut.self, true);
    assert.equal(cut.nearest_baseline, 'planner-1');
    assert.equal(cut.differences[0]?.dimension, 'system_prompt');
    assert.match(cut.differences[0]?.observed ?? '', /sha256:[0-9a-f]{64}$/);
    correlationId = cut.correlation_id;
  });

  await t.test(
    'a sidecar that is killed is told as gone; its decision is explained by its id afterwards',
    async (st) => {
      const ait = await elsewhere(st);
      await pollUntil(
        () => ask<DecisionView[]>('/decisions', { id: correlationId }),
        (all) => new Set(all.map(({ agent }) => agent)).size === 2 && all.some(({ code }) => code === 'PEER_ENDED'),
        LATE,
      );
      await planner.sidecar.kill();
      await pollUntil(
        () => instancesOf('planner'),
        ([one]) => one?.state === 'gone',
        LATE,
      );
      for (const args of [
        ['explain', '--id', correlationId],
        ['explain', 'planner'],
      ]) {
        const { code, output } = await ait([...args, '--operator', admin]);
        assert.equal(code, 0, output);
        assert.match(output, /system prompt drifted/);
        assert.match(output, /SYSTEM_PROMPT_DRIFT/);
      }
      const { output } = await ait(['explain', '--id', correlationId, '--operator', admin]);
      assert.match(output, /What each side reported/);
      assert.match(output, /planner [0-9a-f]{8} +calling +terminated: SYSTEM_PROMPT_DRIFT/);
      assert.match(output, /researcher [0-9a-f]{8} +called +terminated: PEER_ENDED/);
      const json = await ait(['explain', '--id', correlationId, '--operator', admin, '--json']);
      const answer = JSON.parse(json.output.split('\n').at(-1)!) as { found: boolean; sides: DecisionView[] };
      assert.ok(answer.found && answer.sides.length >= 2);
      assert.equal((await ait(['explain', '--id', 'no-such-id', '--operator', admin])).code, 3);
      assert.equal((await ait(['explain', '--operator', admin])).code, 2);
    },
  );

  await t.test('the authority, killed with -9 and with a half-written last line, still knows', async (st) => {
    await authority.process.kill();
    const folder = join(authority.stateDir, 'decisions');
    const [file] = (await readdir(folder)).toSorted();
    assert.equal((await stat(join(folder, file!))).mode & 0o777, 0o600);
    await appendFile(join(folder, file!), '{"receivedAt":1790000000000,"decision":{"agent":"spif');
    await authority.start();
    const damaged = await authority.process.waitFor('decisions_damaged');
    assert.equal(damaged['count'], 1);
    const ait = await elsewhere(st);
    const { code, output } = await ait(['explain', '--id', correlationId, '--operator', admin]);
    assert.equal(code, 0, output);
    assert.match(output, /SYSTEM_PROMPT_DRIFT/);
    assert.ok((await readFile(join(folder, file!), 'utf8')).endsWith('\n'));
  });

  await t.test('after the restart the sidecars that live report again by themselves', async () => {
    await pollUntil(
      () => instancesOf('researcher'),
      ([one]) => one?.state === 'ready',
      LATE,
    );
    assert.ok(researcher.sidecar.running);
  });

  await t.test('nothing of the prompt is in any log, metric, report or state', async () => {
    for (const { name, lines } of mesh.processes) {
      assert.ok(!JSON.stringify(lines).includes(CANARY), `the log of ${name} has it`);
    }
    for (const file of await readdir(authority.stateDir, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const text = await readFile(join(file.parentPath, file.name), 'latin1');
      assert.ok(!text.includes(CANARY), file.name);
    }
    for (const path of ['/decisions', '/instances', '/sessions', '/status', '/agents'] as const) {
      assert.ok(!JSON.stringify(await ask(path)).includes(CANARY), path);
    }
  });
});
