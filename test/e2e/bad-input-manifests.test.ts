import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BAD_MANIFESTS } from '../support/bad-manifests.ts';
import { connectionOver } from '../support/connection-over.ts';
import { startMesh } from '../support/mesh.ts';

test('a malformed manifest is named by file and place, cuts its own agent, and is no drift; put right, calls work again', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  await planner.call('researcher');

  for (const { what, dimension, spoil, code, reason, says } of BAD_MANIFESTS) {
    await t.test(`${dimension}, ${what}: ${code}`, async () => {
      const connection = planner.connect('researcher');
      connection.socket.write('before');
      await connection.read(6);
      const failures = () => planner.metric('ait_measurement_failures_total', { dimension, reason });
      const [from, failed] = [planner.sidecar.mark(), await failures()];

      try {
        await spoil(planner.files);
        const verdict = await planner.waitFor('session_terminated', () => true, { from });
        assert.equal(verdict['code'], code);
        assert.match(String(verdict['detail']), says);
        assert.ok(String(verdict['detail']).includes(planner.files.folder), 'the file is named in full');
        assert.ok((await failures()) > failed, `measurement_failures_total{reason="${reason}"} counts`);
        await connectionOver(connection.socket);
        connection.socket.destroy();
      } finally {
        const repaired = planner.sidecar.mark();
        await planner.files.create('planner');
        await planner.waitFor('standing_in_order', () => true, { from: repaired });
      }
      assert.equal(await planner.call('researcher', 'after'), 'after');
    });
  }

  assert.equal(await planner.metric('ait_drift_total'), 0);
  assert.equal(await researcher.metric('ait_drift_total'), 0);
});

test('an agent that starts with a malformed manifest is not ready, its peers refuse nothing, and repair makes it ready', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const tools = BAD_MANIFESTS.find(({ what }) => what === 'two tools of one name')!;
  await tools.spoil(planner.files);
  await planner.start({ awaitReady: false });
  const { code, detail } = await planner.waitFor('measurement_failed');
  assert.equal(code, tools.code);
  assert.match(String(detail), tools.says);
  await planner.waitFor('sidecar_listening');
  assert.equal((await planner.status()).ready, false);
  await planner.files.writeTools('search');
  await planner.waitFor('sidecar_ready');
  assert.equal(await planner.call('researcher', 'hello'), 'hello');
  assert.deepEqual(await researcher.codes(), [], 'nobody was refused');
});
