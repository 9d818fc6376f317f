import { test } from 'node:test';
import { assertPrints, RecipeMesh } from '../support/recipe.ts';

const program = 'grpc-js/client.mjs';
const shown = 'grpc-js/output.txt';

test('grpc-js calls a peer as docs/recipes/grpc-js.md says', async (t) => {
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
    await assertPrints({ program, env: { RESEARCHER: mesh.target }, shown: 'grpc-js/refused.txt' });
  });
});
