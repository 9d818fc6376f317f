import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environment } from '../../../src/platform/environment.ts';

test('the environment is what the process was given, and cannot be changed', () => {
  assert.equal(environment['PATH'], process.env['PATH']);
  assert.ok(Object.isFrozen(environment));
});
