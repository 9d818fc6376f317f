import { test } from 'node:test';
import { RecipeMesh } from '../support/recipe.ts';

test('undici calls a peer at a unix socket as docs/recipes/fetch.md says', async (t) => {
  const mesh = await RecipeMesh.start(t, { server: 'http-agent/server.mjs', unix: true });
  const env = { RESEARCHER_SOCKET: mesh.target.replace('unix:', '') };
  await mesh.assertStreams(t, { program: 'fetch/undici.mjs', env, shown: 'fetch/output.txt' });
});
