import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findProgram } from '../../../../src/cli/run/find-program.ts';

const folder = mkdtempSync(join(tmpdir(), 'ait-find-'));
after(() => rmSync(folder, { recursive: true }));
for (const name of ['one', 'two', 'two/folder']) mkdirSync(join(folder, name));
writeFileSync(join(folder, 'one/plain'), '', { mode: 0o600 });
writeFileSync(join(folder, 'two/plain'), '', { mode: 0o700 });
writeFileSync(join(folder, 'one/data'), '', { mode: 0o600 });
const path = `${folder}/one:${folder}/two`;

test('a program is looked for in each folder of PATH, and the first that can be executed counts', () => {
  assert.equal(findProgram('plain', path), 'found');
  assert.equal(findProgram('data', path), 'not_executable');
  assert.equal(findProgram('folder', path), 'not_executable');
  assert.equal(findProgram('nothing', path), 'missing');
  assert.equal(findProgram('sh', undefined), 'found');
});

test('a path is taken as it is', () => {
  assert.equal(findProgram(join(folder, 'two/plain'), ''), 'found');
  assert.equal(findProgram(join(folder, 'one/plain'), path), 'not_executable');
  assert.equal(findProgram(join(folder, 'plain'), path), 'missing');
});
