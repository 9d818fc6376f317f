import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import type { ServiceError } from '@grpc/grpc-js';
import { askAuthority } from '../../src/cli/operator/authority-client.ts';
import { agentId } from '../../src/domain/agent-id.ts';
import { reasonOf } from '../../src/wire/error-status.ts';
import type { ReportRequest } from '../../src/wire/generated/ait/v1/ReportRequest.ts';
import type { ReportResponse__Output } from '../../src/wire/generated/ait/v1/ReportResponse.ts';
import {
  joinAs,
  startTestAuthority,
  TRUST_DOMAIN,
  type Joined,
  type TestAuthority,
} from '../support/authority-harness.ts';
import { MEASUREMENT, POLICY } from '../support/policy-files.ts';
import { pollUntil } from '../support/poll-until.ts';

const researcher = agentId(TRUST_DOMAIN, 'researcher');
const STATUS = { version: '1', measurement: JSON.stringify(MEASUREMENT), baseline: 'b-1', blockers: [] };

async function setUp(t: TestContext, config: object = {}): Promise<{ mesh: TestAuthority; member: Joined }> {
  const mesh = await startTestAuthority({ files: POLICY, config });
  t.after(() => mesh.close());
  const member = await joinAs(mesh.authority, 'planner');
  t.after(() => member.clients.close());
  return { mesh, member };
}

function openReport({ clients }: Joined) {
  const stream = clients.report.report();
  const questions: NonNullable<ReportResponse__Output['question']>[] = [];
  let acknowledged = 0;
  stream.on('data', (response: ReportResponse__Output) => {
    acknowledged = response.acknowledged;
    if (response.question !== null) questions.push(response.question);
  });
  const failed = once(stream, 'error').then(([error]) => reasonOf(error as ServiceError));
  failed.catch(() => undefined);
  return {
    stream,
    failed,
    questions,
    send: (request: ReportRequest) => stream.write(request),
    acknowledgement: (sequence: number) =>
      pollUntil(
        () => acknowledged,
        (now) => now >= sequence,
        { deadlineMs: 30_000 },
      ),
  };
}

const get = async <T>(mesh: TestAuthority, path: `/${string}`, query: Record<string, string> = {}): Promise<T> =>
  (await askAuthority({ admin: mesh.authority.adminSocket }, { method: 'GET', path, query })) as T;

async function metric({ authority }: TestAuthority, series: string): Promise<number> {
  const text = await (await fetch(`http://${authority.metricsAddress}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1] ?? 0,
  );
}

test('a flood of decisions of one instance is bounded: the rest is acknowledged, dropped and counted', async (t) => {
  const { mesh, member } = await setUp(t, { decision_limit: 500 });
  const report = openReport(member);
  const decision = { outcome: 'denied', code: 'TOOLS_DRIFT', peer: researcher, detail: 'x'.repeat(5_000), atMs: 1 };
  for (let sequence = 1; sequence <= 60; sequence += 1) {
    report.send({
      sequence,
      decisions: Array.from({ length: 40 }, (_, at) => ({ ...decision, correlationId: `${sequence}-${at}` })),
    });
  }
  await report.acknowledgement(60);
  assert.ok((await metric(mesh, 'ait_decisions_dropped_total{reason="rate"}')) > 1_000);
  const kept = await get<{ detail: string }[]>(mesh, '/decisions', { agent: 'planner', limit: '1000' });
  assert.equal(kept.length, 500);
  assert.ok(kept.every(({ detail }) => detail.length <= 500));
  assert.ok(mesh.log.lines.filter(({ event }) => event === 'reported_decision').length <= 1_500, 'nor does the log');
});

test('a report that is malformed is refused as a whole, by name', async (t) => {
  const { mesh, member } = await setUp(t);
  const bad: ReportRequest[] = [
    { sequence: 0 },
    { sequence: 1, decisions: [{ outcome: 'pardoned' }] },
    { sequence: 1, decisions: Array.from({ length: 1_001 }, () => ({ outcome: 'denied' })) },
    { sequence: 1, status: { ...STATUS, measurement: '{"system_prompt"' } },
    { sequence: 1, status: { ...STATUS, measurement: '{"model":null}' } },
    { sequence: 1, sessions: { sessions: Array.from({ length: 2_001 }, () => ({ role: 'dialler' })) } },
  ];
  for (const request of bad) {
    const report = openReport(member);
    report.send(request);
    assert.equal(await report.failed, 'REPORT_INVALID', JSON.stringify(request).slice(0, 100));
  }
  assert.deepEqual(await get(mesh, '/decisions'), []);
});

test('status and sessions are kept as said, bounded, and told as gone when the stream ends', async (t) => {
  const { mesh, member } = await setUp(t);
  const report = openReport(member);
  const session = {
    sessionId: 's1',
    peer: researcher,
    peerInstance: 'i',
    role: 'dialler',
    acceptedAtMs: 1,
    connections: 2,
  };
  const strange = [
    { ...session, role: 'king' },
    { ...session, peer: 'nobody' },
    { ...session, peerInstance: 'x'.repeat(5_000) },
  ];
  report.send({
    sequence: 1,
    status: {
      ...STATUS,
      blockers: Array.from({ length: 100 }, () => ({ name: 'n'.repeat(900), reason: 'r'.repeat(900) })),
    },
    sessions: { sessions: [session, ...strange] },
  });
  await report.acknowledgement(1);
  type View = { state: string; sessions: number; blockers: { name: string; reason: string }[]; measurement?: object };
  const [view] = await get<View[]>(mesh, '/instances', { id: member.instanceId });
  assert.equal(view?.state, 'not_ready');
  assert.equal(view?.sessions, 1);
  assert.equal(view?.blockers.length, 32);
  assert.ok(view?.blockers.every(({ name, reason }) => name.length <= 200 && reason.length <= 500));
  assert.deepEqual(view?.measurement, MEASUREMENT);
  const { sessions } = await get<{ sessions: { connections: number }[] }>(mesh, '/sessions', { agent: 'researcher' });
  assert.equal(sessions[0]?.connections, 2);
  report.stream.end();
  await pollUntil(
    () => get<View[]>(mesh, '/instances', { agent: 'planner' }),
    ([one]) => one?.state === 'gone',
  );
  assert.deepEqual((await get<{ sessions: [] }>(mesh, '/sessions')).sessions, []);
});

test('a question goes to the instance that is meant, and an answer counts only from there', async (t) => {
  const { mesh, member } = await setUp(t);
  const stranger = await joinAs(mesh.authority, 'stranger');
  t.after(() => stranger.clients.close());
  const [asked, other] = [openReport(member), openReport(stranger)];
  for (const each of [asked, other]) each.send({ sequence: 1, status: STATUS });
  await Promise.all([asked.acknowledgement(1), other.acknowledgement(1)]);
  const question = { method: 'POST', path: '/drift/show', body: { agent: 'planner' } } as const;
  const answer = askAuthority({ admin: mesh.authority.adminSocket }, question);
  const [{ id, operator }] = (await pollUntil(
    () => asked.questions,
    ({ length }) => length === 1,
  )) as [{ id: string; operator: string }];
  assert.equal(operator, 'local');
  const forged = { prompts: [{ name: 'forged', unifiedDiff: 'forged' }] };
  other.send({ sequence: 2, answer: { id, promptDifferences: forged } });
  await other.acknowledgement(2);
  asked.send({ sequence: 2, answer: { id, promptDifferences: { prompts: [{ name: 'main', unifiedDiff: 'true' }] } } });
  const { prompts } = (await answer) as { prompts: { name: string }[] };
  assert.deepEqual(
    prompts.map(({ name }) => name),
    ['main'],
  );
  assert.deepEqual(other.questions, []);
  const unanswered = askAuthority({ admin: mesh.authority.adminSocket }, question);
  await pollUntil(
    () => asked.questions.length,
    (count) => count === 2,
  );
  asked.stream.end();
  await assert.rejects(unanswered, (error: Error) => /INSTANCE_GONE/.test(error.message));
});
