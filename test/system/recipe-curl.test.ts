import { before, test } from 'node:test';
import { findProgram } from '../support/debian-program.ts';
import { assertPrints, RecipeMesh } from '../support/recipe.ts';

const program = 'curl/ask.sh';

before(() => {
  findProgram('curl', 'curl');
});

test('curl calls a peer as docs/recipes/curl.md says', async (t) => {
  const mesh = await RecipeMesh.start(t, { server: 'http-agent/server.mjs' });
  const env = { RESEARCHER_URL: `http://${mesh.target}` };
  await t.test('at the port of that peer', (t) => mesh.assertStreams(t, { program, env, shown: 'curl/output.txt' }));
  await t.test('by name, through a proxy', (t) =>
    mesh.assertStreams(t, { program, env: mesh.proxied, shown: 'curl/output.txt' }),
  );
  await t.test('a call that is not granted', async () => {
    await mesh.grant();
    const complaint = 'curl: (22) The requested URL returned error: 403\n';
    await assertPrints({ program, env, shown: 'curl/refused.txt', complaint });
  });
});
