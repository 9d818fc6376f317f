import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { BAD_PROMPTS, replacePrompt } from '../support/bad-prompts.ts';
import { connectionOver } from '../support/connection-over.ts';
import { httpGet } from '../support/admin-request.ts';
import { startMesh } from '../support/mesh.ts';

const GOOD = 'You are planner. Be brief.\n';

test('a prompt file that is none cuts its own agent, and only it; put right, calls work again by themselves', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, bystander: { calls: ['researcher'] }, researcher: {} },
  });
  const [planner, bystander, researcher] = [mesh.agent('planner'), mesh.agent('bystander'), mesh.agent('researcher')];
  const untouched = bystander.connect('researcher');
  untouched.socket.write('a');
  await untouched.read(1);

  for (const { what, make, code, reason, says } of BAD_PROMPTS) {
    await t.test(`while live: ${what}: ${code}`, async () => {
      const connection = planner.connect('researcher');
      connection.socket.write('before');
      await connection.read(6);
      const failures = () => planner.metric('ait_measurement_failures_total', { dimension: 'system_prompt', reason });
      const [ours, theirs, failed] = [planner.sidecar.mark(), researcher.sidecar.mark(), await failures()];

      await replacePrompt(planner.files.prompt, make);
      const verdict = await planner.waitFor('session_terminated', () => true, { from: ours });
      assert.equal(verdict['code'], code);
      assert.match(String(verdict['detail']), says);
      assert.ok(String(verdict['detail']).includes(planner.files.prompt), 'the file is named');
      assert.match(String(verdict['action']), /\w/, 'and what to do');
      await connectionOver(connection.socket);
      connection.socket.destroy();
      assert.ok((await failures()) > failed, `measurement_failures_total{reason="${reason}"} counts`);
      // The other side learns that it is over, and of no file.
      const heard = await researcher.waitForVerdict({ code: 'PEER_ENDED' }, { from: theirs });
      assert.ok(!JSON.stringify(heard).includes(planner.files.prompt));
      await assert.rejects(planner.call('researcher', 'meanwhile'));

      const repaired = planner.sidecar.mark();
      await replacePrompt(planner.files.prompt, (draft) => writeFile(draft, GOOD));
      await planner.waitFor('standing_in_order', () => true, { from: repaired });
      assert.equal(await planner.call('researcher', 'after'), 'after');
    });
  }

  await t.test('none of it was drift, and a session beside it never noticed', async () => {
    untouched.socket.write('z');
    assert.equal((await untouched.read(1)).toString(), 'z');
    untouched.socket.destroy();
    assert.equal(await planner.metric('ait_drift_total'), 0);
    assert.equal(await researcher.metric('ait_drift_total'), 0);
    assert.ok(!researcher.app.received.includes('meanwhile'), 'nothing got through in between');
  });

  // One of each way to fail: what tells them apart was seen above.
  for (const what of ['missing', 'a directory', 'empty', 'binary', 'of 100 MB']) {
    const { make, code, reason, says } = BAD_PROMPTS.find((bad) => bad.what === what)!;
    await t.test(`at start: ${what}: not ready, /readyz says why; put right, it is ready`, async () => {
      await planner.sidecar.kill();
      await replacePrompt(planner.files.prompt, make);
      await planner.start({ awaitReady: false });
      await planner.waitFor('sidecar_listening');
      const readyz = await httpGet({ address: planner.addresses.metrics }, '/readyz');
      assert.ok(readyz.includes(`measurement: ${code}: system_prompt: ${planner.files.prompt}`), readyz);
      assert.match(readyz, says);
      assert.ok((await planner.metric('ait_measurement_failures_total', { dimension: 'system_prompt', reason })) > 0);
      await assert.rejects(planner.call('researcher', 'too early'));
      await replacePrompt(planner.files.prompt, (draft) => writeFile(draft, GOOD));
      await planner.waitFor('sidecar_ready');
      assert.equal(await planner.call('researcher', 'at last'), 'at last');
    });
  }
});
