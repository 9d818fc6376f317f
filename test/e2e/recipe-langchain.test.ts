import { test } from 'node:test';
import { assertPrints, startModelRecipe } from '../support/recipe.ts';

const program = 'langchain/agent.mjs';

test('LangChain.js calls its model as docs/recipes/langchain.md says', async (t) => {
  const { env, poisoned } = await startModelRecipe(t);
  await t.test('with a tool, and in pieces', () => assertPrints({ program, env, shown: 'langchain/output.txt' }));
  await t.test('a prompt that nobody has approved', () =>
    assertPrints({ program, env: poisoned, shown: 'langchain/refused.txt' }),
  );
});
