import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshOfInstances } from '../support/instances.ts';
import { pollUntil } from '../support/poll-until.ts';
import { connectionPerCall, describeFailures, SteadyCalls } from '../support/steady-calls.ts';
import type { AgentConnection, TestAgent } from '../support/test-agent.ts';

const NAMES = ['researcher-a', 'researcher-b', 'researcher-c'];
const PATIENT = { deadlineMs: 30_000 };

async function open(planner: TestAgent): Promise<AgentConnection> {
  const connection = planner.connect('researcher');
  connection.socket.write('hello');
  assert.equal((await connection.read(5)).toString(), 'hello');
  return connection;
}

test('three instances: connections that are open at once are spread evenly, over as many instances as configured', async (t) => {
  const peers = { researcher: { instances: 3 } };
  const { planner, instances } = await meshOfInstances(t, { names: NAMES, planner: { peers } });
  const held = [await open(planner)];
  assert.equal((await planner.peer('researcher')).instances.length, 1, 'one connection needs one session');
  // One that finds every session in use brings about one more, for those that come after it.
  for (const [connections, sessions] of [
    [2, 2],
    [4, 3],
  ] as const) {
    while (held.length < connections) held.push(await open(planner));
    await pollUntil(
      async () => (await planner.peer('researcher')).instances,
      (now) => now.length === sessions,
    );
  }
  while (held.length < 12) held.push(await open(planner));
  const report = await planner.peer('researcher');
  assert.deepEqual(
    report.instances.map(({ state, connections }) => `${state} ${connections}`),
    Array.from({ length: 3 }, () => 'live 4'),
  );
  assert.deepEqual([report.circuit, report.known], ['closed', 3]);
  assert.deepEqual(
    instances.map(({ app }) => app.served),
    [4, 4, 4],
  );
  for (const { socket } of held) socket.destroy();
});

test('one of three is killed with -9 under steady calls: no connection that begins after it fails', async (t) => {
  const peers = { researcher: { instances: 2 } };
  const { planner, instances } = await meshOfInstances(t, { names: NAMES, planner: { peers } });
  const callers = await Promise.all(
    Array.from({ length: 6 }, (_, index) =>
      SteadyCalls.begin(
        { from: `planner ${index}`, to: 'researcher', kind: 'connection' },
        connectionPerCall(planner.socketTo('researcher')),
        { everyMs: 5 },
      ),
    ),
  );
  t.after(() => Promise.all(callers.map((caller) => caller.stop())));
  const twentyMoreEach = async () => {
    const before = callers.map(({ succeeded }) => succeeded);
    await pollUntil(
      () => callers.map(({ succeeded }) => succeeded),
      (now) => now.every((count, index) => count >= (before[index] ?? 0) + 20),
      PATIENT,
    );
  };
  await pollUntil(
    async () => (await planner.peer('researcher')).instances,
    (now) => now.filter(({ state }) => state === 'live').length === 2,
    PATIENT,
  );
  await twentyMoreEach();
  const used = await planner.peer('researcher');
  const killed = instances.find(({ agent }) => used.instances.some(({ address }) => address === agent.inbound));
  assert.ok(killed !== undefined);
  const killedAt = Date.now();
  await killed.agent.sidecar.kill();
  const deadAt = Date.now();
  await twentyMoreEach();
  await pollUntil(
    async () => (await planner.peer('researcher')).instances,
    (now) => now.filter(({ state }) => state === 'live').length === 2,
    PATIENT,
  );
  await twentyMoreEach();
  t.diagnostic(`dead after ${deadAt - killedAt} ms; ${describeFailures(callers)}`);
  // What had been placed on it is lost with it; what came when it was gone is not.
  const failed = callers.flatMap((caller) => caller.failed).filter(({ startedAt }) => startedAt > deadAt);
  assert.deepEqual(failed, [], describeFailures(callers));
  const lost = callers.flatMap((caller) => caller.failed).length;
  assert.ok(lost <= callers.length, `${lost} calls of ${callers.length} callers, each of which has one under way`);
});
