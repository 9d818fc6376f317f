import { test } from 'node:test';
import { assertPrints, RecipeMesh } from '../support/recipe.ts';

const program = 'mcp/client.mjs';

test('mcp calls a peer as docs/recipes/mcp.md says', async (t) => {
  const mesh = await RecipeMesh.start(t, { server: 'mcp/server.mjs', tools: 'mcp/tools.json' });
  const env = { RESEARCHER_URL: `http://${mesh.target}` };
  await t.test('at the port of that peer', (t) => mesh.assertStreams(t, { program, env, shown: 'mcp/output.txt' }));
  await t.test('by name, through a proxy', (t) =>
    mesh.assertStreams(t, { program, env: mesh.proxiedWith('fetch/env-proxy.mjs'), shown: 'mcp/output.txt' }),
  );
  await t.test('a call that is not granted', async () => {
    await mesh.grant();
    await assertPrints({ program, env, shown: 'mcp/refused.txt' });
  });
});

test('a list of tools that nobody has approved does not arrive', async (t) => {
  const mesh = await RecipeMesh.start(t, { server: 'mcp/server.mjs' });
  const env = { RESEARCHER_URL: `http://${mesh.target}` };
  await assertPrints({ program, env, shown: 'mcp/refused-tools.txt' });
});
