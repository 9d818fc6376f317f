import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = readdirSync(join(root, 'docs/recipes')).filter((name) => name !== 'README.md');
const shown = pages.flatMap((page) =>
  [...read(`docs/recipes/${page}`).matchAll(/^<!-- shows: (\S+) -->$/gm)].map(([, file = '']) => ({ page, file })),
);
const tests = ['e2e', 'system']
  .flatMap((folder) => readdirSync(join(root, 'test', folder)).map((name) => `test/${folder}/${name}`))
  .filter((path) => path.includes('/recipe-'))
  .map(read)
  .join('\n');

test('every program and every listing of the recipes stands on a page', () => {
  const files = readdirSync(join(root, 'examples/recipes'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(mjs|py|sh|txt)$/.test(name))
    // Stands for what protoc would generate.
    .filter((name) => name !== 'grpcio/research.py');
  assert.ok(files.length > 20);
  for (const name of files)
    assert.ok(
      shown.some(({ file }) => file === `examples/recipes/${name}`),
      `no page shows ${name}`,
    );
});

test('every program and every listing that a page shows is run by a test', () => {
  assert.ok(shown.length > 20);
  for (const { page, file } of shown) {
    if (!/\.(mjs|py|sh|txt)$/.test(file)) continue;
    const name = file.replace('examples/recipes/', '');
    assert.ok(tests.includes(`'${name}'`), `no test runs ${name}, which ${page} shows`);
  }
});

test('every page is in the table', () => {
  const table = read('docs/recipes/README.md');
  for (const page of pages) assert.ok(table.includes(`](${page})`), `${page} is not there`);
});

test('an answer that a page shows is one, and not a placeholder', () => {
  for (const { file } of shown.filter(({ file }) => file.endsWith('.txt')))
    assert.ok(read(file).length > 20 && !read(file).includes('to come'), file);
});
