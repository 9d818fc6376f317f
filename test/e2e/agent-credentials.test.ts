import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseJoinCredential } from '../../src/domain/join-credential.ts';
import { startMesh } from '../support/mesh.ts';
import { runAit } from '../support/run-ait.ts';

test('ait agent credentials: what is left of each, for people and for programs, and no secret', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: {} } });
  const admin = ['--admin', join(mesh.authority.stateDir, 'admin.sock')];
  const file = join(mesh.folder, 'unlimited.credential');
  const made = await runAit(['agent', 'credential', 'planner', '--uses', 'unlimited', '--out', file, ...admin]);
  assert.equal(made.code, 0, made.output);
  const { id, secret } = parseJoinCredential(await readFile(file, 'utf8'));

  const table = await runAit(['agent', 'credentials', ...admin]);
  assert.equal(table.code, 0, table.output);
  assert.match(table.output, /AGENT +ID +STATE +USES LEFT +EXPIRES/);
  assert.match(table.output, /agent\/planner +\S{22} +usable +9 of 10 +\S+Z/);
  assert.match(table.output, new RegExp(`${id} +usable +unlimited`));

  const json = await runAit(['agent', 'credentials', 'planner', '--json', ...admin]);
  assert.equal(json.code, 0, json.output);
  assert.match(json.output, /"uses_left": "unlimited"/);
  for (const { output } of [table, json]) assert.ok(!output.includes(Buffer.from(secret).toString('base64url')));

  const none = await runAit(['agent', 'credentials', 'nobody', ...admin]);
  assert.equal(none.code, 3);
  assert.match(none.output, /there are no join credentials of nobody/);
  const bad = await runAit(['agent', 'credentials', 'a b', ...admin]);
  assert.equal(bad.code, 4, bad.output);
  const wrong = await runAit(['agent', 'credential', 'planner', '--uses', 'many', ...admin]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.output, /--uses many: not a whole number from 1 on, nor unlimited/);
  const away = await runAit(['agent', 'credentials', '--admin', join(mesh.folder, 'nowhere.sock')]);
  assert.equal(away.code, 5);
});
