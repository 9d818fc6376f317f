import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { askModel, chat, chatBody, errorOf } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';

test("the provider's key is the sidecar's: added to calls, followed when it changes, and never the agent's", async (t) => {
  const { planner, model, mesh } = await plannerWithProvider(t, { start: false });
  const file = join(mesh.folder, 'provider-key');
  await writeFile(file, 'sk-first\n', { mode: 0o600 });
  const section = planner.config['inference'] as { provider: object };
  section.provider = { ...section.provider, api_key_file: file };
  await planner.start();
  const keys = () => model.questions.map(({ headers }) => headers.authorization);
  await askModel(planner, { headers: { authorization: 'Bearer agent' }, body: chatBody(planner) });
  assert.deepEqual(keys(), ['Bearer sk-first']);

  const from = planner.sidecar.mark();
  await writeFile(file, 'sk-second\n');
  await planner.waitFor('provider_key_read', () => true, { from });
  await chat(planner);
  assert.equal(keys().at(-1), 'Bearer sk-second');

  await writeFile(file, 'two\nlines\n');
  await planner.waitFor('provider_key_unusable', () => true, { from });
  const refused = await chat(planner);
  assert.deepEqual([refused.status, errorOf(refused).code], [503, 'INFERENCE_UNAVAILABLE']);
  assert.equal(model.questions.length, 2, 'without a key nothing is sent');
  assert.match(await planner.admin('/readyz'), /"inference"/);
  assert.doesNotMatch(`${refused.text}${planner.sidecar.tail(500)}`, /sk-first|sk-second/);
});
