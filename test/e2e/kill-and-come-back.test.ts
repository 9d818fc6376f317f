import assert from 'node:assert/strict';
import { test } from 'node:test';
import { awaitAddress, startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import type { TestAgent } from '../support/test-agent.ts';

/** Calls all the time, as an agent does that tries again; counts what came back. */
function callsOf(agent: TestAgent, peer: string) {
  const count = { answered: 0, failed: 0 };
  const stopping = new AbortController();
  const over = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await agent.call(peer);
        count.answered += 1;
      } catch {
        count.failed += 1;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  })();
  return {
    count,
    /** Until calls succeed again, several in a row. */
    goOn: async () => {
      const before = count.answered;
      await pollUntil(
        () => count.answered,
        (now) => now > before + 5,
        { deadlineMs: 40_000 },
      );
    },
    stop: async () => {
      stopping.abort();
      await over;
    },
  };
}

async function meshUnderCalls(t: Parameters<typeof startMesh>[0]) {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const calls = callsOf(mesh.agent('planner'), 'researcher');
  t.after(() => calls.stop());
  await calls.goOn();
  return { mesh, calls };
}

for (const killed of ['planner', 'researcher'] as const) {
  test(`kill -9 of the ${killed}'s sidecar under calls: started again it is back unattended, and calls succeed again`, async (t) => {
    const { mesh, calls } = await meshUnderCalls(t);
    const agent = mesh.agent(killed);
    await agent.sidecar.kill();
    await agent.start();
    if (killed === 'researcher') await awaitAddress(mesh.agent('planner'), agent.inbound);
    await calls.goOn();
    await calls.stop();
  });
}

test('kill -9 of the authority under calls: no session is lost, no call fails, and it is back unattended', async (t) => {
  const { mesh, calls } = await meshUnderCalls(t);
  const planner = mesh.agent('planner');
  const [before] = await planner.sessions();
  const failed = calls.count.failed;
  await mesh.authority.process.kill();
  await planner.waitFor('state_watch_broken');
  await calls.goOn();
  await mesh.authority.start();
  const from = planner.sidecar.mark();
  // What the authority says is heard again.
  await mesh.nudge(planner);
  await planner.waitFor('state_applied', () => true, { from, deadlineMs: 30_000 });
  await calls.goOn();
  await calls.stop();
  const sessions = await planner.sessions();
  assert.deepEqual(
    sessions.map(({ id }) => id),
    [before?.id],
  );
  assert.equal(calls.count.failed, failed);
});

test('kill -9 of authority and sidecar together: both come back unattended, the sidecar first', async (t) => {
  const { mesh, calls } = await meshUnderCalls(t);
  const researcher = mesh.agent('researcher');
  await Promise.all([mesh.authority.process.kill(), researcher.sidecar.kill()]);
  await researcher.start({ awaitReady: false });
  const first = await researcher.waitFor('join_failed');
  const second = await researcher.waitFor('join_failed', (line) => line !== first);
  assert.notEqual(first['retryMs'], second['retryMs'], 'not all sidecars try again at the same moment');
  await mesh.authority.start();
  await researcher.waitFor('sidecar_ready', () => true, { deadlineMs: 40_000 });
  await calls.goOn();
  await calls.stop();
});
