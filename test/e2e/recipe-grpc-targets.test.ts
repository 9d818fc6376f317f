import { test } from 'node:test';
import { tryTargets } from '../support/recipe-targets.ts';

test('grpc-js takes the spellings of a target that docs/recipes/grpc-targets.md says it takes, and no others', (t) =>
  tryTargets(t, { column: 'JavaScript', program: 'grpc-js/client.mjs' }));
