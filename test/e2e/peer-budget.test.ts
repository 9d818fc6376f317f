import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

test('beyond its budget for one peer the agent is refused at once, by that name; what is open goes on, and other peers are served', async (t) => {
  const peers = { researcher: { limits: { connections: 3 } } };
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher', 'writer'], peers }, researcher: {}, writer: {} },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const held = Array.from({ length: 3 }, () => planner.connect('researcher'));
  for (const connection of held) {
    connection.socket.write('held');
    await connection.read(4);
  }
  const reached = researcher.app.connections;
  await assert.rejects(planner.call('researcher'));
  const refused = await planner.waitForVerdict({ code: 'PEER_BUDGET_EXCEEDED' });
  assert.match(String(refused['detail']), /^3 open connections/);
  assert.equal(researcher.app.connections, reached, 'the peer never heard of it');
  assert.equal(await planner.metric('ait_budget_exceeded_total', { peer: 'researcher', budget: 'connections' }), 1);
  assert.equal(await planner.metric('ait_connections_refused_total', { reason: 'PEER_BUDGET_EXCEEDED' }), 1);
  assert.deepEqual((await planner.peer('researcher')).budget.connections, { used: 3, limit: 3 });
  assert.equal(await planner.call('writer', 'room'), 'room');
  for (const connection of held) {
    connection.socket.write('still');
    assert.equal((await connection.read(5)).toString(), 'still');
  }
  held[0]?.socket.destroy();
  await pollUntil(
    async () => (await planner.peer('researcher')).budget.connections.used,
    (used) => used === 2,
  );
  assert.equal(await planner.call('researcher', 'again'), 'again');
  for (const { socket } of held) socket.destroy();
});

test('connections that wait for an instance have a budget of their own, so that a peer that hangs costs little', async (t) => {
  const peers = { researcher: { limits: { pending: 2 } } };
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], peers }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  assert.equal(await planner.call('researcher', 'well'), 'well');
  // It takes TCP connections, and does nothing with them.
  process.kill(researcher.sidecar.pid, 'SIGSTOP');
  const waiting = [planner.connect('researcher'), planner.connect('researcher')];
  await pollUntil(
    async () => (await planner.peer('researcher')).budget.pending.used,
    (used) => used === 2,
  );
  await assert.rejects(planner.call('researcher'));
  const refused = await planner.waitForVerdict({ code: 'PEER_BUDGET_EXCEEDED' });
  assert.match(String(refused['detail']), /^2 connections that wait/);
  process.kill(researcher.sidecar.pid, 'SIGCONT');
  for (const connection of waiting) {
    connection.socket.write('late');
    assert.equal((await connection.read(4)).toString(), 'late');
    connection.socket.destroy();
  }
});
