import { test } from 'node:test';
import { assertPrints, RecipeMesh } from '../support/recipe.ts';

const program = 'axios/client.mjs';

test('axios calls a peer as docs/recipes/axios.md says', async (t) => {
  const mesh = await RecipeMesh.start(t, { server: 'http-agent/server.mjs' });
  const env = { RESEARCHER_URL: `http://${mesh.target}` };
  await t.test('at the port of that peer', (t) => mesh.assertStreams(t, { program, env, shown: 'axios/output.txt' }));
  await t.test('by name, through a proxy', (t) =>
    mesh.assertStreams(t, { program, env: mesh.proxied, shown: 'axios/output.txt' }),
  );
  await t.test('a call that is not granted', async () => {
    await mesh.grant();
    await assertPrints({ program, env, shown: 'axios/refused.txt' });
  });
});
