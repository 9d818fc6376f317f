import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { writeFileAtomic } from '../../../src/platform/atomic-file.ts';

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'atomic-file-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

test('writes a new file, private unless told otherwise, whatever the umask', async () => {
  const umask = process.umask(0o077);
  try {
    await writeFileAtomic(join(directory, 'a'), 'text');
    await writeFileAtomic(join(directory, 'b'), Buffer.from('bytes'), { mode: 0o644 });
  } finally {
    process.umask(umask);
  }
  assert.equal(fs.readFileSync(join(directory, 'a'), 'utf8'), 'text');
  assert.equal(fs.statSync(join(directory, 'a')).mode & 0o777, 0o600);
  assert.equal(fs.statSync(join(directory, 'b')).mode & 0o777, 0o644);
});

test('a reader who has the old file open keeps it whole', async () => {
  const path = join(directory, 'a');
  await writeFileAtomic(path, 'old');
  const reader = fs.openSync(path, 'r');
  await writeFileAtomic(path, 'new and longer');
  assert.equal(fs.readFileSync(reader, 'utf8'), 'old');
  fs.closeSync(reader);
  assert.equal(fs.readFileSync(path, 'utf8'), 'new and longer');
});

test('a link is replaced, not written through', async () => {
  const victim = join(directory, 'victim');
  fs.writeFileSync(victim, 'untouched');
  fs.symlinkSync(victim, join(directory, 'link'));
  await writeFileAtomic(join(directory, 'link'), 'data');
  assert.equal(fs.readFileSync(victim, 'utf8'), 'untouched');
});

test('a failure leaves the old state and no temporary file', async () => {
  const path = join(directory, 'a');
  fs.mkdirSync(join(path, 'not-empty'), { recursive: true });
  await assert.rejects(writeFileAtomic(path, 'data'), { code: /EISDIR|ENOTEMPTY|EEXIST/ });
  assert.deepEqual(fs.readdirSync(directory), ['a']);
  await assert.rejects(writeFileAtomic(join(directory, 'missing', 'a'), 'data'), { code: 'ENOENT' });
});

test('of many writers at once one wins whole', async () => {
  const path = join(directory, 'a');
  const texts = Array.from({ length: 20 }, (_, n) => String(n).repeat(10_000));
  await Promise.all(texts.map((text) => writeFileAtomic(path, text)));
  assert.ok(texts.includes(fs.readFileSync(path, 'utf8')));
  assert.deepEqual(fs.readdirSync(directory), ['a']);
});
