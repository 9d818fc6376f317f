import assert from 'node:assert/strict';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startMesh } from '../support/mesh.ts';

test('a sidecar that cannot keep its state says so and works: sessions, drift and recovery', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const planner = mesh.agent('planner');
  const state = join(planner.folder, 'state');

  const works = async () => {
    assert.equal(await planner.call('researcher', 'hello'), 'hello');
    const from = planner.sidecar.mark();
    await planner.files.writePrompt('You are poisoned.\n');
    const { code } = await planner.waitFor('session_terminated', () => true, { from });
    assert.equal(code, 'SYSTEM_PROMPT_DRIFT');
    await planner.files.writePrompt('You are planner. Be brief.\n');
    await planner.waitFor('standing_in_order', () => true, { from });
    assert.equal(await planner.call('researcher', 'again'), 'again');
  };

  await t.test(
    'nothing can be written from the start: what was to be kept is named, and nothing else is lost',
    async () => {
      // What a full disk or a read-only mount does to a write, without needing either.
      await mkdir(join(state, 'mesh-state.json', 'in-the-way'), { recursive: true });
      await writeFile(join(state, 'prompts'), 'in the way');
      await planner.start();
      assert.equal((await planner.waitFor('state_unreadable'))['level'], 'warn');
      assert.equal((await planner.waitFor('state_not_kept'))['level'], 'error');
      assert.equal((await planner.waitFor('prompt_memory_write_failed'))['level'], 'warn');
      await works();
    },
  );

  await t.test(
    'the directory is taken away while it runs: the next state cannot be kept, and is in force',
    async () => {
      await planner.sidecar.stop();
      await rm(state, { recursive: true });
      await planner.start();
      await planner.call('researcher');
      assert.ok(!planner.sidecar.lines.some(({ event }) => event === 'state_not_kept'));
      const away = join(planner.folder, 'state-away');
      await rename(state, away);
      await writeFile(state, 'in the way');
      const from = planner.sidecar.mark();
      await mesh.nudge(planner);
      assert.equal((await planner.waitFor('state_not_kept', () => true, { from }))['level'], 'error');
      await works();
      await rm(state);
      await rename(away, state);
    },
  );

  await t.test('it is below a file, with the admin socket elsewhere: it starts, and says what that costs', async () => {
    await planner.sidecar.stop();
    await writeFile(join(planner.folder, 'file'), '');
    planner.config['state_dir'] = join(planner.folder, 'file', 'state');
    planner.config['admin'] = { socket: join(planner.folder, 'admin.sock') };
    await planner.start();
    const { level, path, action } = await planner.waitFor('state_dir_unusable');
    assert.equal(level, 'warn');
    assert.equal(path, planner.config['state_dir']);
    assert.match(String(action), /state_dir/);
    await works();
    assert.equal((await planner.status()).ready, true);
  });
});
