import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parse, stringify } from 'yaml';
import { httpGet } from '../support/admin-request.ts';
import { findProgram, run } from '../support/debian-program.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { RULES, delivered, startPrometheus, type Instant } from '../support/prometheus-server.ts';

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ait-promtool-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function promtool(args: readonly string[], input?: string): Promise<string> {
  const tool = findProgram('promtool', 'prometheus');
  const { code, stdout, stderr } = await run(tool, args, input === undefined ? {} : { input });
  assert.equal(code, 0, `promtool ${args.join(' ')}\n${stdout.toString()}${stderr}`);
  return stdout.toString() + stderr;
}

test('promtool accepts the alert rules, their tests pass, and the scrape configurations are some', async (t) => {
  await promtool(['check', 'rules', ...delivered('rules')]);
  await promtool(['test', 'rules', ...delivered('tests')]);
  await promtool(['check', 'config', '--syntax-only', join(RULES, 'scrape.yaml')]);
  // Debian's Prometheus is built without Kubernetes: all but the discovery is checked.
  const scrape = parse(await readFile(join(RULES, 'scrape-kubernetes.yaml'), 'utf8')) as { scrape_configs: object[] };
  const jobs = scrape.scrape_configs.map((job) => ({ ...job, kubernetes_sd_configs: undefined, static_configs: [] }));
  const file = join(await temporaryFolder(t), 'scrape.yaml');
  await writeFile(file, stringify({ scrape_configs: jobs }));
  await promtool(['check', 'config', '--syntax-only', file]);
});

/**
 * Our own metrics of a scrape in the older text format, the only one that promtool checks: there a counter is declared
 * under its whole name. Node's own metrics keep the names that dashboards know them by, which promtool would fault.
 */
function classic(openMetrics: string): string {
  const counters = [...openMetrics.matchAll(/^# TYPE (ait_\S+) counter$/gm)].map(([, name]) => name ?? '');
  const whole = (line: string) =>
    line.replace(/^(# (?:TYPE|HELP) )(\S+)/, (all, head: string, name: string) =>
      counters.includes(name) ? `${head}${name}_total` : all,
    );
  return openMetrics
    .split('\n')
    .filter((line) => /^(# \w+ )?ait_/.test(line))
    .map((line) => `${whole(line)}\n`)
    .join('');
}

test('a real Prometheus scrapes a mesh: what happened is what a query finds, and drift raises its alert', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const { metrics_listen: authority } = await mesh.authority.process.waitFor('authority_ready');
  const ask = await startPrometheus(t, [
    { job: 'ait', address: planner.addresses.metrics, agent: 'planner' },
    { job: 'ait', address: researcher.addresses.metrics, agent: 'researcher' },
    { job: 'ait', address: authority as string, agent: 'authority' },
  ]);
  const query = async (expression: string): Promise<number[]> => {
    const { result } = (await ask(`/api/v1/query?query=${encodeURIComponent(expression)}`)) as { result: Instant[] };
    return result.map(({ value }) => Number(value[1]));
  };
  const expects = (expression: string, wanted: readonly number[]) => {
    return pollUntil(
      () => query(expression),
      (found) => JSON.stringify(found) === JSON.stringify(wanted),
      { deadlineMs: 15_000, everyMs: 100 },
    );
  };

  await t.test('promtool finds nothing to complain about in what either process serves', async () => {
    for (const address of [planner.addresses.metrics, authority as string]) {
      const metrics = classic(await httpGet({ address }, '/metrics'));
      assert.ok(metrics.split('\n').length > 20, metrics);
      await promtool(['check', 'metrics'], metrics);
    }
  });

  await t.test('all three are up, and an exchange is there on both sides', async () => {
    await expects('sort(up)', [1, 1, 1]);
    await planner.call('researcher');
    await expects('ait_exchanges_total{agent="planner",direction="outbound",result="accepted"}', [1]);
    await expects('ait_exchanges_total{agent="researcher",direction="inbound",result="accepted"}', [1]);
    await expects('sum(ait_sessions)', [2]);
    await expects('ait_joins_total{agent="authority",result="ok"}', [2]);
    await expects('histogram_quantile(1, ait_exchange_duration_seconds_bucket{agent="planner"}) < bool 5', [1]);
  });

  await t.test('drift: counted, the sessions gone, the alert fires', async () => {
    await planner.files.writePrompt('You are poisoned.\n');
    await expects('ait_drift_total{agent="planner",peer="self",dimension="system_prompt",action="terminated"}', [1]);
    await expects('sum(ait_sessions)', [0]);
    await expects('ait_sessions_terminated_total{agent="planner",reason="SYSTEM_PROMPT_DRIFT"}', [1]);
    const alerts = async () =>
      ((await ask('/api/v1/alerts')) as { alerts: { labels: Record<string, string>; state: string }[] }).alerts;
    const raised = await pollUntil(alerts, (all) =>
      all.some(({ labels, state }) => labels['alertname'] === 'AitDrift' && state === 'firing'),
    );
    const drift = raised.find(({ labels }) => labels['alertname'] === 'AitDrift');
    assert.equal(drift?.labels['agent'], 'planner');
    assert.equal(drift?.labels['dimension'], 'system_prompt');
  });

  await t.test('every rule could be evaluated', async () => {
    const { groups } = (await ask('/api/v1/rules')) as {
      groups: { rules: { name: string; health: string; lastError?: string }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length > 0);
    assert.deepEqual(
      rules.filter(({ health }) => health === 'err').map(({ name, lastError }) => `${name}: ${lastError}`),
      [],
    );
  });
});
