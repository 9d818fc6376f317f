import { test } from 'node:test';
import { assertPrints, RecipeMesh } from '../support/recipe.ts';

const program = 'a2a/client.mjs';

test('a2a calls a peer as docs/recipes/a2a.md says', async (t) => {
  const mesh = await RecipeMesh.start(t, { server: 'a2a/server.mjs' });
  const env = { RESEARCHER_URL: `http://${mesh.target}` };
  await t.test('at the port of that peer', (t) => mesh.assertStreams(t, { program, env, shown: 'a2a/output.txt' }));
  await t.test('over HTTP+JSON', (t) =>
    mesh.assertStreams(t, { program, env: { ...env, BINDING: 'HTTP+JSON' }, shown: 'a2a/output.txt' }),
  );
  await t.test('by name, through a proxy', (t) =>
    mesh.assertStreams(t, { program, env: mesh.proxiedWith('fetch/env-proxy.mjs'), shown: 'a2a/output.txt' }),
  );
  await t.test('a call that is not granted', async () => {
    await mesh.grant(['GET /.well-known/agent-card.json']);
    await assertPrints({ program, env, shown: 'a2a/refused.txt' });
  });
});
