import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createHash } from 'node:crypto';
import { createAssuranceCheck } from '../../../../src/sidecar/measure/assurance.ts';
import { startMeasurer, workspace } from './workspace.ts';

const AGENT = 12_345;
const GROUP = 23_456;
const OTHER = 34_567;
const isRoot = process.geteuid?.() === 0;
const needsRoot = { skip: isRoot ? false : 'giving files away needs root' };

const check = (path: string, agent: { uid?: number; gids?: number[] } = {}, sidecarUid: number | undefined = 0) =>
  createAssuranceCheck({ agent: { uid: AGENT, gids: [GROUP], ...agent }, sidecarUid })(path);

/** Below /var/tmp's parent there is a sticky folder at most, so the way down is safe. */
function protectedFile(t: TestContext): { folder: string; file: string } {
  const root = mkdtempSync('/var/tmp/ait-assurance-');
  t.after(() => rmSync(root, { recursive: true, force: true }));
  chmodSync(root, 0o755);
  const folder = join(root, 'config');
  mkdirSync(folder, { mode: 0o755 });
  const file = join(folder, 'prompt.md');
  writeFileSync(file, 'x', { mode: 0o644 });
  return { folder, file };
}

test('a source of somebody else, on a way that only others may write, is at rest', needsRoot, (t) => {
  assert.equal(check(protectedFile(t).file), 'at_rest');
});

test('an unknown agent, root, the sidecar itself, and a missing file are declared', needsRoot, (t) => {
  const { file } = protectedFile(t);
  assert.equal(createAssuranceCheck({ agent: { uid: undefined, gids: undefined }, sidecarUid: 0 })(file), 'declared');
  assert.equal(check(file, { uid: 0 }, 1), 'declared');
  assert.equal(check(file, { uid: AGENT }, AGENT), 'declared');
  assert.equal(createAssuranceCheck({ agent: { uid: AGENT, gids: [] }, sidecarUid: undefined })(file), 'declared');
  assert.equal(check(`${file}.gone`), 'declared');
});

const matrix: [what: string, expected: string, change: (paths: { folder: string; file: string }) => void][] = [
  ['file owned by the agent, read-only', 'declared', ({ file }) => (chownSync(file, AGENT, 0), chmodSync(file, 0o444))],
  ['file writable by all', 'declared', ({ file }) => chmodSync(file, 0o646)],
  ["file writable by the agent's group", 'declared', ({ file }) => (chownSync(file, 0, GROUP), chmodSync(file, 0o664))],
  ['file writable by another group', 'at_rest', ({ file }) => (chownSync(file, 0, OTHER), chmodSync(file, 0o664))],
  ["file readable by the agent's group", 'at_rest', ({ file }) => (chownSync(file, 0, GROUP), chmodSync(file, 0o640))],
  ['folder owned by the agent', 'declared', ({ folder }) => chownSync(folder, AGENT, 0)],
  ['folder writable by all', 'declared', ({ folder }) => chmodSync(folder, 0o777)],
  ['sticky folder writable by all', 'at_rest', ({ folder }) => chmodSync(folder, 0o1777)],
  ['sticky folder of the agent', 'declared', ({ folder }) => (chownSync(folder, AGENT, 0), chmodSync(folder, 0o1777))],
  [
    "sticky folder, agent's file",
    'declared',
    ({ folder, file }) => (chmodSync(folder, 0o1777), chownSync(file, AGENT, 0), chmodSync(file, 0o444)),
  ],
  ['folder above owned by the agent', 'declared', ({ folder }) => chownSync(join(folder, '..'), AGENT, 0)],
];
for (const [what, expected, change] of matrix) {
  test(`${what}: ${expected}`, needsRoot, (t) => {
    const paths = protectedFile(t);
    change(paths);
    assert.equal(check(paths.file), expected);
  });
}

test('groups that are not known count as the agent’s', needsRoot, (t) => {
  const { file } = protectedFile(t);
  chownSync(file, 0, OTHER);
  chmodSync(file, 0o664);
  assert.equal(createAssuranceCheck({ agent: { uid: AGENT, gids: undefined }, sidecarUid: 0 })(file), 'declared');
});

test('a link in a folder that the agent may write is declared, though its target is safe', needsRoot, (t) => {
  const { file } = protectedFile(t);
  const open = mkdtempSync('/var/tmp/ait-assurance-');
  t.after(() => rmSync(open, { recursive: true, force: true }));
  chmodSync(open, 0o777);
  symlinkSync(file, join(open, 'prompt.md'));
  assert.equal(check(join(open, 'prompt.md')), 'declared');
  chmodSync(open, 0o755);
  assert.equal(check(join(open, 'prompt.md')), 'at_rest');
  symlinkSync(open, join(file, '..', 'way'));
  assert.equal(check(join(file, '..', 'way', 'prompt.md')), 'at_rest');
  chmodSync(open, 0o777);
  assert.equal(check(join(file, '..', 'way', 'prompt.md')), 'declared');
});

test('the platform engineer’s statement makes a dimension at rest, but not a declared entry', async (t) => {
  const { root, file } = workspace(t);
  file('p.md', 'x');
  const sha256 = createHash('sha256').update('x').digest('hex');
  const manifest = file('m.json', JSON.stringify({ version: '1', entries: [{ name: 'p', sha256, path: 'p.md' }] }));
  const { measurer } = await startMeasurer(t, root, {
    system_prompt: { main: 'p.md' },
    knowledge_base: { manifest: 'm.json' },
    agent_cannot_write: { knowledge_base: true },
  });
  const assurances = async () => {
    const result = await measurer.measureNow();
    assert.ok(result.ok);
    return [result.measurement.system_prompt?.assurance, result.measurement.knowledge_base?.assurance];
  };
  assert.deepEqual(await assurances(), ['declared', 'at_rest']);
  writeFileSync(manifest, JSON.stringify({ version: '1', entries: [{ name: 'p', sha256 }] }));
  assert.deepEqual(await assurances(), ['declared', 'declared']);
});

test('a change of permissions alone is a new result', needsRoot, async (t) => {
  const { file } = protectedFile(t);
  const section = { system_prompt: { main: file }, agent_uid: AGENT, agent_gids: [], interval: '10m' };
  const { until } = await startMeasurer(t, '/', section);
  await until((result) => result.ok && result.measurement.system_prompt?.assurance === 'at_rest');
  chmodSync(file, 0o666);
  await until((result) => result.ok && result.measurement.system_prompt?.assurance === 'declared');
});
