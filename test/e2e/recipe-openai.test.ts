import { test } from 'node:test';
import { assertPrints, startModelRecipe } from '../support/recipe.ts';

const program = 'openai/agent.mjs';

test("OpenAI's client calls its model as docs/recipes/openai.md says", async (t) => {
  const { env, poisoned } = await startModelRecipe(t);
  await t.test('an answer, whole and in pieces', () => assertPrints({ program, env, shown: 'openai/output.txt' }));
  await t.test('a prompt that nobody has approved', () =>
    assertPrints({ program, env: poisoned, shown: 'openai/refused.txt' }),
  );
});
