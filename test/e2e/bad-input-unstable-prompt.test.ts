import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionOver } from '../support/connection-over.ts';
import { startMesh } from '../support/mesh.ts';
import { RestlessWriter } from '../support/restless-writer.ts';

/** Each makes another prompt, and each of them is approved: whatever is read, it is never drift. */
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const prompt = (letter: string) => `You are planner ${letter}.\n`;

test('a prompt that is rewritten all the time: MEASUREMENT_UNSTABLE, which is no drift; left alone, calls work again', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  for (const [index, letter] of LETTERS.split('').entries()) {
    await planner.files.writePrompt(prompt(letter));
    await mesh.approve('planner', { id: `planner-letter-${index}`, files: planner.files });
  }
  await planner.start();
  const connection = planner.connect('researcher');
  connection.socket.write('before');
  await connection.read(6);

  const from = planner.sidecar.mark();
  const writer = await RestlessWriter.start(planner.files.prompt, {
    offset: prompt('').indexOf('.'),
    letters: LETTERS,
  });
  t.after(() => writer.stop());
  const verdict = await planner.waitFor('session_terminated', () => true, { from });
  assert.equal(verdict['code'], 'MEASUREMENT_UNSTABLE');
  assert.match(String(verdict['detail']), /^system_prompt: .*prompt\.md kept changing for more than 30 ms/);
  await connectionOver(connection.socket);
  connection.socket.destroy();
  const unstable = { dimension: 'system_prompt', reason: 'unstable' };
  assert.ok((await planner.metric('ait_measurement_failures_total', unstable)) > 0);
  const { connections } = researcher.app;

  const calm = planner.sidecar.mark();
  await writer.stop();
  await planner.waitFor('standing_in_order', () => true, { from: calm });
  assert.equal(await planner.call('researcher', 'after'), 'after');
  assert.equal(researcher.app.connections, connections + 1);
  assert.equal(await planner.metric('ait_drift_total'), 0);
  assert.equal(await researcher.metric('ait_drift_total'), 0);
});
