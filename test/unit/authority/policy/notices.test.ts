import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAuthorityMetrics } from '../../../../src/authority/authority-metrics.ts';
import { findNotices } from '../../../../src/authority/policy/notices.ts';
import { NoticeWatch } from '../../../../src/authority/policy/notice-watch.ts';
import { readPolicyFile } from '../../../../src/authority/policy/policy-objects.ts';
import { createRegistry } from '../../../../src/platform/metrics-registry.ts';
import { MemoryStore } from '../../../fakes/memory-store.ts';
import { createLogBook, TRUST_DOMAIN } from '../../../support/authority-harness.ts';
import { PLANNER } from '../../../support/ledger-world.ts';
import { agentYaml, baselineYaml } from '../../../support/policy-files.ts';

const NOW = Date.UTC(2026, 5, 1);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function objects(...texts: readonly string[]) {
  const { records, problems } = readPolicyFile('x.yaml', texts.join('---\n'), TRUST_DOMAIN);
  assert.deepEqual(problems, []);
  return records.map(({ object }) => object);
}

const until = (id: string, at: number) =>
  baselineYaml(id, 'planner').replace('digests:', `not_after: '${new Date(at).toISOString()}'\ndigests:`);
const NOBODY = { credentials: [], roots: [], now: NOW };

test('the end of the last window says plainly that the agent is cut off; another one says that it is not the last', () => {
  const texts = [agentYaml('planner'), until('v1', NOW + DAY), until('v2', NOW + 2 * DAY)];
  const [first, last] = findNotices({ ...NOBODY, objects: objects(...texts) });
  assert.match(first?.consequence ?? '', /only this baseline are cut; other baselines stay/);
  assert.match(last?.consequence ?? '', /every instance of planner is refused everywhere.*until another is approved/);
  assert.equal(last?.endsAt, NOW + 2 * DAY);
});

test('a gap before the next window is told with its end; what is past, revoked or of a retired agent is not told', () => {
  const next = baselineYaml('v2', 'planner').replace('digests:', "not_before: '2026-06-03T00:00:00Z'\ndigests:");
  const [gap] = findNotices({ ...NOBODY, objects: objects(agentYaml('planner'), until('v1', NOW + DAY), next) });
  assert.match(gap?.consequence ?? '', /refused everywhere.*until 2026-06-03/);
  for (const texts of [
    [agentYaml('planner', 'retired'), until('v1', NOW + DAY)],
    [agentYaml('planner'), until('v1', NOW - 1)],
    [agentYaml('planner'), until('v1', NOW + DAY).replace('state: approved', 'state: revoked')],
  ]) {
    assert.deepEqual(findNotices({ ...NOBODY, objects: objects(...texts) }), []);
  }
});

test('each threshold is told once, also over a restart; an end that moved is told again', async () => {
  const store = new MemoryStore();
  const log = createLogBook();
  let [now, ends] = [NOW, NOW + 10 * DAY];
  const clock = { now: () => now, monotonic: () => now };
  const look = async () => {
    // A new one each time: nothing is remembered but what is stored.
    const watch = new NoticeWatch({
      store,
      clock,
      logger: log.logger,
      metrics: createAuthorityMetrics(createRegistry({ clock })),
      sources: () =>
        Promise.resolve({
          objects: objects(agentYaml('planner'), until('v1', ends)),
          credentials: [{ id: 'c1', agent: PLANNER, expiresAt: NOW + 6 * DAY }],
          roots: [{ id: 'root', notAfter: NOW + 3650 * DAY }],
        }),
    });
    watch.look();
    await watch.stop();
    return log.lines.splice(0).map(({ kind, ahead }) => `${String(kind)} ${String(ahead)}`);
  };
  assert.deepEqual(await look(), ['join_credential 7d']);
  assert.deepEqual(await look(), []);
  now = NOW + 4 * DAY;
  assert.deepEqual(await look(), ['baseline 7d']);
  now = NOW + 5 * DAY + HOUR;
  assert.deepEqual(await look(), ['join_credential 24h']);
  now = NOW + 9 * DAY + HOUR;
  assert.deepEqual(await look(), ['baseline 24h']);
  assert.deepEqual(await look(), []);
  ends = NOW + 12 * DAY;
  assert.deepEqual(await look(), ['baseline 7d']);
});
