import { test } from 'node:test';
import { assertPrints, RecipeMesh } from '../support/recipe.ts';

const program = 'fetch/client.mjs';

test('fetch calls a peer as docs/recipes/fetch.md says', async (t) => {
  const mesh = await RecipeMesh.start(t, { server: 'http-agent/server.mjs' });
  const env = { RESEARCHER_URL: `http://${mesh.target}` };
  await t.test('at the port of that peer', (t) => mesh.assertStreams(t, { program, env, shown: 'fetch/output.txt' }));
  await t.test('by name, through a proxy', (t) =>
    mesh.assertStreams(t, { program, env: mesh.proxiedWith('fetch/env-proxy.mjs'), shown: 'fetch/output.txt' }),
  );
  await t.test('a call that is not granted', async () => {
    await mesh.grant();
    await assertPrints({ program, env, shown: 'fetch/refused.txt' });
  });
});
