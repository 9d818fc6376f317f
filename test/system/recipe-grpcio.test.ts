import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { findProgram, run } from '../support/debian-program.ts';
import { tryTargets } from '../support/recipe-targets.ts';
import { assertPrints, RecipeMesh } from '../support/recipe.ts';

/** Debian's own: another interpreter earlier in PATH does not see Debian's packages. */
const PYTHON = '/usr/bin/python3';
const program = 'grpcio/client.py';
const shown = 'grpcio/output.txt';

before(async () => {
  findProgram('python3', 'python3');
  const { code, stderr } = await run(PYTHON, ['-c', 'import grpc']);
  assert.equal(code, 0, `python3 has no grpc: apt-get install python3-grpcio (Debian, Ubuntu)\n${stderr}`);
});

test('grpcio calls a peer as docs/recipes/grpcio.md says', async (t) => {
  const mesh = await RecipeMesh.start(t, { server: 'grpc-js/server.mjs', unix: true });
  await t.test('at the socket of that peer', (t) =>
    mesh.assertStreams(t, { program, shown, env: { RESEARCHER: mesh.target } }),
  );
  await t.test('at the port of all peers', (t) =>
    mesh.assertStreams(t, { program, shown, env: { RESEARCHER: mesh.outbound, AUTHORITY: 'researcher.mesh' } }),
  );
  await t.test('by name, through a proxy', (t) => mesh.assertStreams(t, { program, env: mesh.proxied, shown }));
  await t.test('a call that is not granted', async () => {
    await mesh.grant();
    await assertPrints({ program, env: { RESEARCHER: mesh.target }, shown: 'grpcio/refused.txt' });
  });
});

test('grpcio takes the spellings of a target that docs/recipes/grpc-targets.md says it takes, and no others', (t) =>
  tryTargets(t, { column: 'Python', program }));
