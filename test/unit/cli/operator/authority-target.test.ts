import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseTrustDomain } from '../../../../src/domain/agent-id.ts';
import { resolveTarget } from '../../../../src/cli/operator/authority-target.ts';
import { operatorFileToText, readOperatorFile, type OperatorFile } from '../../../../src/cli/operator/operator-file.ts';

const PEM = '-----BEGIN TEST-----\nAAAA\n-----END TEST-----\n';
const FILE: OperatorFile = {
  name: 'ada',
  trustDomain: parseTrustDomain('acme.example'),
  authority: '127.0.0.1:17102',
  roots: [PEM],
  certificate: PEM,
  key: PEM,
  expiresAt: 1,
};

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ait-target-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function writeOperator(path: string, more: object = {}): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true });
  const text = JSON.stringify({ ...(JSON.parse(operatorFileToText(FILE)) as object), ...more });
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

test('a file comes back as it was written', async (t) => {
  const path = join(await folder(t), 'ada.json');
  await writeFile(path, operatorFileToText(FILE), { mode: 0o600 });
  assert.deepEqual(readOperatorFile(path), FILE);
});

test('a file that is not one, or that others may read, is refused without repeating any of it', async (t) => {
  const home = await folder(t);
  const path = join(home, 'ada.json');
  for (const more of [
    { format: 'ait-operator-2' },
    { roots: [] },
    { key: 'SECRET' },
    { authority: 'nowhere' },
    { trust_domain: 'A B' },
    { more: 1 },
    { expires_at: '1' },
  ]) {
    await writeOperator(path, more);
    assert.throws(
      () => readOperatorFile(path),
      (error: Error) => {
        assert.equal((error as Error & { code: string }).code, 'FILE_UNREADABLE');
        assert.ok(!error.message.includes('SECRET'));
        return true;
      },
    );
  }
  await writeOperator(path);
  for (const mode of [0o640, 0o604, 0o620]) {
    await chmod(path, mode);
    assert.throws(() => readOperatorFile(path), { code: 'FILE_UNREADABLE', hint: `chmod 600 ${path}` });
  }
  assert.throws(() => readOperatorFile(join(home, 'missing.json')), { code: 'FILE_UNREADABLE' });
});

test('a flag goes over a variable, a variable over a file at its usual place, and that over the socket', async (t) => {
  const home = await folder(t);
  const env = { HOME: home };
  assert.deepEqual(resolveTarget({}, env), {
    kind: 'socket',
    path: '/var/lib/ait/authority/admin.sock',
    given: false,
  });
  assert.deepEqual(resolveTarget({ admin: 'x.sock' }, env), { kind: 'socket', path: 'x.sock', given: true });
  await writeOperator(join(home, '.config/ait/operator.json'), { name: 'usual' });
  const named = await writeOperator(join(home, 'named.json'), { name: 'named' });
  const flagged = await writeOperator(join(home, 'flagged.json'), { name: 'flagged' });
  const nameOf = (target: ReturnType<typeof resolveTarget>) =>
    target.kind === 'network' ? target.file.name : target.path;
  assert.equal(nameOf(resolveTarget({}, env)), 'usual');
  assert.equal(nameOf(resolveTarget({}, { ...env, AIT_OPERATOR: named })), 'named');
  assert.equal(nameOf(resolveTarget({ operator: flagged }, { ...env, AIT_OPERATOR: named })), 'flagged');
  assert.equal(nameOf(resolveTarget({ admin: 'x.sock' }, { ...env, AIT_OPERATOR: named })), 'x.sock');
  assert.equal(nameOf(resolveTarget({}, { HOME: '/nowhere', XDG_CONFIG_HOME: join(home, '.config') })), 'usual');
  const elsewhere = resolveTarget({ authority: 'authority.example:17102' }, env);
  assert.equal(elsewhere.kind === 'network' && elsewhere.address, 'authority.example:17102');
});

test('what contradicts itself, or cannot be meant, is an error', async (t) => {
  const env = { HOME: await folder(t) };
  assert.throws(() => resolveTarget({ admin: 'x', operator: 'y' }, env), { code: 'CONFIG_INVALID' });
  assert.throws(() => resolveTarget({ authority: 'nowhere' }, env), { code: 'CONFIG_INVALID' });
  assert.throws(() => resolveTarget({}, { ...env, AIT_AUTHORITY: 'a:1' }), { code: 'CONFIG_INVALID' });
  assert.throws(() => resolveTarget({ operator: '/nowhere/x.json' }, env), { code: 'FILE_UNREADABLE' });
});
