import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, credentials, status } from '@grpc/grpc-js';
import { readDashboard, withVariables } from '../support/grafana-dashboard.ts';
import { GrpcApp } from '../support/grpc-app.ts';
import { awaitAddress, type TestMesh } from '../support/mesh.ts';
import { chat } from '../support/model-caller.ts';
import { plannerWithService } from '../support/model-mesh.ts';
import { answerChat, sendJson } from '../support/model-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startPrometheus } from '../support/prometheus-server.ts';
import type { TestAgent } from '../support/test-agent.ts';

interface Drawn {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

/** Lets planner call this agent, and returns when both know. */
async function grant(
  mesh: TestMesh,
  { to, calls }: { readonly to: TestAgent; readonly calls?: readonly string[] },
): Promise<void> {
  const from = to.sidecar.mark();
  const terms = { from: 'planner', to: [to.name], ...(calls !== undefined && { calls }) };
  await mesh.authority.writePolicy(`grants/planner-${to.name}`, { kind: 'Grant', ...terms });
  await to.waitFor('state_applied', () => true, { from });
  await awaitAddress(mesh.agent('planner'), to.inbound);
}

/** One call that is answered, one that the agent does not know, one that the grant does not list. */
async function callArchive(planner: TestAgent): Promise<void> {
  const client = new Client(`unix:${planner.socketTo('archivist')}`, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  const call = (path: string) =>
    new Promise<status>((resolve) => {
      client.makeUnaryRequest(path, same, same, Buffer.from('ping'), (error) => resolve(error?.code ?? status.OK));
    });
  try {
    assert.equal(await call('/test.Echo/Echo'), status.OK);
    assert.equal(await call('/test.Echo/Unheard'), status.UNIMPLEMENTED);
    assert.equal(await call('/test.Admin/Reset'), status.PERMISSION_DENIED);
  } finally {
    client.close();
  }
}

test('every query of the dashboard is one, and what happened in a mesh is what its panels show', async (t) => {
  const config = { timing: { drain: '200ms', heartbeat: '300ms' } };
  const archive = await GrpcApp.start();
  t.after(() => archive.stop());
  const { mesh, planner, service } = await plannerWithService(t, {
    calls: ['researcher', 'archivist'],
    granted: false,
    config: { ...config, calls: { methods: ['POST /test.Admin/Reset'] } },
    others: {
      researcher: { app: true, config },
      archivist: { app: false, config: { ...config, app: { address: archive.address } } },
    },
  });
  const researcher = mesh.agent('researcher');
  const archivist = mesh.agent('archivist');
  await grant(mesh, { to: researcher });
  await grant(mesh, { to: archivist, calls: ['POST /test.Echo/*'] });
  const { metrics_listen: authority } = await mesh.authority.process.waitFor('authority_ready');
  const ask = await startPrometheus(t, [
    { job: 'ait-sidecar', address: planner.addresses.metrics, agent: 'planner' },
    { job: 'ait-sidecar', address: researcher.addresses.metrics, agent: 'researcher' },
    { job: 'ait-sidecar', address: archivist.addresses.metrics, agent: 'archivist' },
    { job: 'ait-authority', address: authority as string },
  ]);
  const get = (path: string, parameters: Record<string, string>) =>
    ask(`${path}?${new URLSearchParams(parameters).toString()}`);
  const began = Date.now() / 1000;
  /** Its series over all the time since the start, as Grafana would draw them. */
  const drawn = async (query: string): Promise<readonly Drawn[]> => {
    const end = Date.now() / 1000;
    const range = `${Math.max(1, Math.ceil(end - began))}s`;
    const span = { start: String(began), end: String(end), step: '1' };
    const { result } = (await get('/api/v1/query_range', { query: withVariables(query, range), ...span })) as {
      result: Drawn[];
    };
    return result;
  };
  /** How many of its points say something. */
  const points = async (query: string): Promise<number> =>
    (await drawn(query)).flatMap(({ values }) => values).filter(([, value]) => value !== 'NaN').length;
  const until = async (query: string) => {
    const seen = await pollUntil(
      async () => ({ query, points: await points(query) }),
      (answer) => answer.points > 0,
      { deadlineMs: 30_000, everyMs: 200 },
    );
    return seen.points;
  };

  /** One call that is answered, and one at which the model fails. */
  const callModel = async () => {
    assert.equal((await chat(planner, { stream: true })).status, 200);
    service.answer = (_question, response) => sendJson(response, { error: { message: 'out of order' } }, 500);
    assert.equal((await chat(planner)).status, 500);
    service.answer = answerChat;
    assert.equal((await chat(planner)).status, 200);
  };

  // A morning: all is well, but for a call that no grant lists; then one agent changes while it is called; it cannot be measured; it is put right; its peer
  // dies.
  await until('count(up == 1) == 4');
  await planner.call('researcher');
  await callModel();
  await until('sum(ait_sessions) == 2');
  await until('ait:connections:rate5m');
  await until('ait_inference_requests_total{outcome="model_error"} == 1');
  await callModel();
  await until('ait_inference_requests_total{outcome="model_error"} == 2');
  // Twice: a rate needs a series that was there before.
  const refused = 'ait_calls_total{method="POST /test.Admin/Reset",code="PERMISSION_DENIED",source="sidecar"}';
  await callArchive(planner);
  await until(`${refused} == 1`);
  await callArchive(planner);
  await until(`${refused} == 2`);
  await planner.call('researcher');
  await until('ait:unavailability:ratio_rate5m');
  await until('ait_peer_clock_skew_seconds');
  const open = planner.connect('researcher');
  open.socket.write('held');
  await open.read(4);
  await planner.files.writePrompt('You are poisoned.\n');
  await open.closed;
  await assert.rejects(planner.call('researcher'));
  await until('ait_drift_total{agent="planner",peer="self"} == 1');
  await planner.files.writePrompt('');
  await until('sum(ait_measurement_failures_total) > 0');
  await planner.files.writePrompt('You are planner. Be brief.\n');
  await pollUntil(
    () => planner.status(),
    ({ ready }) => ready,
  );
  await planner.call('researcher');
  await until('sum(ait_sessions) == 2');
  await researcher.sidecar.kill();
  await assert.rejects(planner.call('researcher'));
  await until('ait_exchanges_total{agent="planner",result!="accepted"}');

  const { panels, annotations, templating } = readDashboard();
  const asked = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
  assert.ok(asked.length > 30);
  await t.test('panels', async () => {
    const shown = new Map<string, number>();
    for (const { title, expr } of asked) shown.set(title, (shown.get(title) ?? 0) + (await points(expr)));
    const empty = [...shown].filter(([, count]) => count === 0).map(([title]) => title);
    assert.deepEqual(empty, []);
  });
  await t.test('calls between agents: whose word an error is, and which call was refused', async () => {
    const above0 = async (panel: string, label: string) => {
      const series = await Promise.all(asked.filter(({ title }) => title === panel).map(({ expr }) => drawn(expr)));
      const seen = series.flat().filter(({ values }) => values.some(([, value]) => Number(value) > 0));
      return [...new Set(seen.map(({ metric }) => metric[label]))].toSorted();
    };
    assert.deepEqual(await above0('Calls per second, by peer', 'peer'), ['archivist']);
    assert.deepEqual(await above0('Share of calls that end in an error, by source', 'source'), ['app', 'sidecar']);
    assert.deepEqual(await above0('Duration of calls, p99', 'peer'), ['archivist']);
    assert.deepEqual(await above0('Calls refused, by method', 'method'), ['POST /test.Admin/Reset']);
  });
  await t.test('annotations and variables', async () => {
    for (const { expr } of annotations.list) await points(expr);
    for (const { definition } of templating.list) {
      const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition ?? '') ?? [];
      if (definition === undefined) continue;
      const series = (await get('/api/v1/series', { 'match[]': withVariables(selector) })) as Record<string, string>[];
      assert.ok(
        series.some((each) => each[label] !== undefined),
        definition,
      );
    }
  });
  await t.test('alert rules: each could be evaluated, and each of its parts is a query', async () => {
    const { groups } = (await ask('/api/v1/rules')) as {
      groups: { rules: { name: string; query: string; health: string; lastError?: string }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length > 30);
    for (const { name, query, health, lastError } of rules) {
      assert.equal(health, 'ok', `${name}: ${lastError}`);
      await points(query);
    }
  });
});
