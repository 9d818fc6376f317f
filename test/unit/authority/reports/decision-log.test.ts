import assert from 'node:assert/strict';
import { appendFile, chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { agentId, parseTrustDomain } from '../../../../src/domain/agent-id.ts';
import { createAuthorityMetrics } from '../../../../src/authority/authority-metrics.ts';
import { DecisionLog } from '../../../../src/authority/reports/decision-log.ts';
import type { StoredDecision } from '../../../../src/authority/reports/stored-decision.ts';
import { createRegistry } from '../../../../src/platform/metrics-registry.ts';
import { createLogBook } from '../../../support/authority-harness.ts';

const planner = agentId(parseTrustDomain('acme.example'), 'planner');
const researcher = agentId(parseTrustDomain('acme.example'), 'researcher');

function decision(id: string, more: Partial<StoredDecision> = {}): StoredDecision {
  return {
    at: 1_000,
    agent: planner,
    instance: 'i-1',
    correlation_id: id,
    peer: researcher,
    outcome: 'denied',
    code: 'TOOLS_DRIFT',
    detail: 'differs',
    role: 'dialler',
    session_id: '',
    self: false,
    connections: 0,
    remote_address: '',
    nearest_baseline: '',
    differences: [],
    ...more,
  };
}

async function setUp(t: TestContext) {
  const directory = join(await mkdtemp(join(tmpdir(), 'ait-decisions-')), 'decisions');
  t.after(() => rm(join(directory, '..'), { recursive: true, force: true }));
  let now = 1_000_000;
  const registry = createRegistry({ defaultMetrics: false });
  const { logger, lines } = createLogBook();
  const open = async (options: { maxCount?: number; maxAgeMs?: number } = {}): Promise<DecisionLog> => {
    const log = new DecisionLog({
      directory,
      maxAgeMs: 3_600_000,
      maxCount: 1_000,
      clock: { now: () => now, monotonic: () => performance.now() },
      logger,
      metrics,
      ...options,
    });
    await log.start();
    t.after(() => log.stop({ deadlineMs: 1_000 }));
    return log;
  };
  const metrics = createAuthorityMetrics(registry);
  return {
    directory,
    lines,
    open,
    pass: (ms: number) => (now += ms),
    metric: async (series: string) => {
      const line = (await registry.render()).split('\n').find((each) => each.startsWith(`${series} `));
      return Number(line?.split(' ')[1] ?? 0);
    },
    bytes: async () => {
      const sizes = (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size);
      return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    },
  };
}

const ids = (found: readonly StoredDecision[]) => found.map((each) => each.correlation_id).toSorted();

test('what was added is found by id, by whose it is and by whom it is about', async (t) => {
  const log = await (await setUp(t)).open();
  log.add(decision('a'));
  log.add(decision('b', { agent: researcher, peer: planner }));
  log.add(decision('c', { agent: researcher, peer: '' }));
  assert.deepEqual(ids(await log.find({ correlationId: 'a', limit: 10 })), ['a']);
  assert.deepEqual(ids(await log.find({ agent: planner, limit: 10 })), ['a', 'b']);
  assert.deepEqual(ids(await log.find({ agent: researcher, limit: 10 })), ['a', 'b', 'c']);
  assert.deepEqual(ids(await log.find({ correlationId: 'none', limit: 10 })), []);
});

test('it survives a restart, and goes on', async (t) => {
  const { open } = await setUp(t);
  const first = await open();
  first.add(decision('a', { differences: [{ dimension: 'tools', item: 'x', expected: 'e', observed: 'o' }] }));
  await first.stop({ deadlineMs: 1_000 });
  const second = await open();
  second.add(decision('b'));
  const found = await second.find({ agent: planner, limit: 10 });
  assert.deepEqual(ids(found), ['a', 'b']);
  assert.equal(found.find((each) => each.correlation_id === 'a')?.differences[0]?.item, 'x');
});

test('a line that a crash cut off, and one that is damaged, cost themselves only', async (t) => {
  const { open, directory, lines } = await setUp(t);
  const first = await open();
  first.add(decision('a'));
  await first.stop({ deadlineMs: 1_000 });
  const [file = ''] = await readdir(directory);
  await appendFile(
    join(directory, file),
    'not json\n[1]\n{"receivedAt":1,"decision":{"agent":"x"}}\n{"receivedAt":10000',
  );
  const second = await open();
  assert.equal(lines.find(({ event }) => event === 'decisions_damaged')?.['count'], 4);
  second.add(decision('b'));
  await second.stop({ deadlineMs: 1_000 });
  const third = await open();
  assert.deepEqual(ids(await third.find({ agent: planner, limit: 10 })), ['a', 'b']);
});

test('a flood keeps the newest, and the disk stays bounded', async (t) => {
  const { open, bytes, directory } = await setUp(t);
  const log = await open({ maxCount: 100 });
  const size = Buffer.byteLength(JSON.stringify(decision('00000')));
  for (let round = 0; round < 40; round += 1) {
    for (let index = 0; index < 100; index += 1) log.add(decision(String(round * 100 + index).padStart(5, '0')));
    await log.find({ limit: 1 });
  }
  const found = await log.find({ limit: 1_000 });
  assert.equal(found.length, 100);
  assert.equal(ids(found).at(-1), '03999');
  assert.equal(ids(found)[0], '03900');
  assert.ok((await readdir(directory)).length <= 10);
  assert.ok((await bytes()) < 10 * 500 * (size + 100), String(await bytes()));
});

test('more than waits for the disk is dropped and counted, and nobody is held up', async (t) => {
  const { open, metric } = await setUp(t);
  const log = await open({ maxCount: 20_000 });
  const start = performance.now();
  for (let index = 0; index < 12_000; index += 1) log.add(decision(String(index)));
  assert.ok(performance.now() - start < 1_000, 'adding must not wait');
  await log.find({ limit: 1 });
  const dropped = await metric('ait_decisions_dropped_total{reason="queue"}');
  assert.equal(dropped, 7_000);
});

test('what is too old is not found, and its files go', async (t) => {
  const { open, pass, directory } = await setUp(t);
  const log = await open({ maxAgeMs: 60_000 });
  log.add(decision('old'));
  await log.find({ limit: 1 });
  pass(60_001);
  assert.deepEqual(await log.find({ limit: 10 }), []);
  log.add(decision('new'));
  assert.deepEqual(ids(await log.find({ limit: 10 })), ['new']);
  await log.stop({ deadlineMs: 1_000 });
  pass(60_001);
  await open({ maxAgeMs: 60_000 });
  assert.deepEqual(await readdir(directory), []);
});

test('a disk that takes nothing: dropped, counted, one line in the log, and going on afterwards', async (t) => {
  const { open, directory, metric, lines } = await setUp(t);
  const log = await open();
  // Where the file belongs there is something that cannot be written to, whoever one is.
  await mkdir(join(directory, 'decisions-00000001.jsonl'));
  for (let index = 0; index < 10; index += 1) {
    log.add(decision(String(index)));
    await log.find({ limit: 1 });
  }
  assert.equal(await metric('ait_decisions_dropped_total{reason="write"}'), 10);
  assert.equal(lines.filter(({ event }) => event === 'decisions_not_kept').length, 1);
  await rm(join(directory, 'decisions-00000001.jsonl'), { recursive: true });
  log.add(decision('after'));
  assert.deepEqual(ids(await log.find({ limit: 10 })), ['after']);
});

test('a directory that cannot be read does not keep the authority from starting', async (t) => {
  const { open, directory, lines } = await setUp(t);
  await writeFile(directory, 'a file');
  const log = await open();
  assert.ok(lines.some(({ event }) => event === 'decisions_not_read'));
  log.add(decision('a'));
  assert.deepEqual(await log.find({ limit: 10 }), []);
  await chmod(directory, 0o600);
});
