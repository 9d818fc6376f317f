import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMesh } from '../support/mesh.ts';

test('one peer cannot take all the places: beyond the cap of a session its connections are refused, others are not', async (t) => {
  const limits = { connections_per_session: 3 };
  const mesh = await startMesh(t, {
    agents: {
      greedy: { calls: ['researcher'] },
      modest: { calls: ['researcher'] },
      researcher: { config: { limits } },
    },
  });
  const [greedy, modest, researcher] = ['greedy', 'modest', 'researcher'].map((name) => mesh.agent(name));
  assert.ok(greedy !== undefined && modest !== undefined && researcher !== undefined);
  const held = Array.from({ length: 3 }, () => greedy.connect('researcher'));
  for (const connection of held) {
    connection.socket.write('held');
    await connection.read(4);
  }
  await assert.rejects(greedy.call('researcher'));
  await researcher.waitForVerdict({ code: 'TOO_MANY_CONNECTIONS' });
  assert.equal(await modest.call('researcher', 'room'), 'room');
  // Room again as soon as one goes.
  held[0]?.socket.destroy();
  const deadline = performance.now() + 10_000;
  while ((await greedy.call('researcher', 'again').catch(() => '')) !== 'again') {
    assert.ok(performance.now() < deadline, 'there never was room again');
  }
  for (const connection of held) connection.socket.destroy();
});
