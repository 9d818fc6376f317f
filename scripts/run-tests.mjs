/**
 * Runs the tests with `node:test` through tsx. Node 20's `--test` knows no globs, so the files are collected here.
 *
 * Usage: `node scripts/run-tests.mjs [folder or file under test/ …] [--node-option …]`
 * Without a folder it runs everything but `system`, whose tests need Debian packages. A folder that holds no test is an
 * error: a run that tests nothing must not pass. The exit code is node:test's own.
 */
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const testRoot = join(root, 'test');
const defaultFolders = ['unit', 'property', 'compliance', 'integration', 'e2e'];

const options = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const targets = named.length > 0 ? named : defaultFolders;

/** All `*.test.ts` at or below a path given as `unit/platform`, `test/unit` or a file; empty when nothing is there. */
function collect(target) {
  const path = target.startsWith('test/') ? resolve(root, target) : resolve(testRoot, target);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  if (stats.isFile()) return [path];
  return readdirSync(path, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(path, name));
}

const found = targets.map((target) => ({ target, files: collect(target) }));
const empty = found.filter(({ files }) => files.length === 0).map(({ target }) => target);
if (empty.length > 0) {
  console.error(`run-tests: no *.test.ts under test/ in: ${empty.join(', ')}`);
  process.exit(1);
}
const files = [...new Set(found.flatMap((entry) => entry.files))].sort();

// System tests bind well-known programs and measure; side by side they would disturb each other.
const alone = targets.some((target) => target.replace(/^test\//, '').startsWith('system'));
const child = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${alone ? 1 : availableParallelism()}`,
    '--test-timeout=240000',
    '--test-reporter=spec',
    ...options,
    ...files.map((file) => relative(root, file)),
  ],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`run-tests: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code) => process.exit(code ?? 1));
