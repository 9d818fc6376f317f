import { test } from 'node:test';
import { assertPrints, startModelRecipe } from '../support/recipe.ts';

const program = 'openai-agents/agent.mjs';

test('an agent of the OpenAI Agents SDK calls its model and its tool as docs/recipes/openai-agents.md says', async (t) => {
  const { env, poisoned } = await startModelRecipe(t);
  await t.test('with a tool, and in pieces', () => assertPrints({ program, env, shown: 'openai-agents/output.txt' }));
  await t.test('a prompt that nobody has approved', () =>
    assertPrints({ program, env: poisoned, shown: 'openai-agents/refused.txt' }),
  );
});
