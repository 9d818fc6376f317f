import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError, MESH_ERRORS, MeshError } from '../../../src/domain/mesh-error.ts';

test('an error carries its code, hint and cause', () => {
  const cause = new Error('disk');
  const error = new MeshError('STATE_FILE_CORRUPT', 'state.json is empty', { hint: 'restore it', cause });
  assert.deepEqual(
    [error.name, error.code, error.hint, error.cause],
    ['MeshError', 'STATE_FILE_CORRUPT', 'restore it', cause],
  );
  assert.ok(!('cause' in new MeshError('INTERNAL', 'x')));
});

test('an error is recognised by its class and, where asked, its code', () => {
  const error: unknown = new MeshError('STATE_LOCKED', 'x');
  assert.ok(isMeshError(error) && isMeshError(error, 'STATE_LOCKED'));
  assert.ok(!isMeshError(error, 'INTERNAL') && !isMeshError(new Error('x')) && !isMeshError(undefined));
});

test('every code is upper snake case and says what it means', () => {
  for (const [code, meaning] of Object.entries(MESH_ERRORS)) {
    assert.match(code, /^[A-Z]+(_[A-Z]+)*$/);
    assert.match(meaning, /^[A-Z].*\.$/);
  }
});
