import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { FileStore } from '../../../src/platform/file-store.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = join(fs.mkdtempSync(join(tmpdir(), 'file-store-')), 'state');
  file = join(directory, 'state.json');
});
afterEach(() => fs.rmSync(join(directory, '..'), { recursive: true, force: true }));

async function withStore<T>(use: (store: FileStore) => Promise<T>): Promise<T> {
  const store = await FileStore.open(directory);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}
const putOne = (store: FileStore) => store.commit([{ kind: 'put', collection: 'agents', key: 'a', value: 1 }]);
const corrupt = (error: unknown): boolean => isMeshError(error, 'STATE_FILE_CORRUPT') && error.message.includes(file);

test('what was committed is there after closing and opening', async () => {
  await withStore(putOne);
  assert.equal(await withStore((store) => store.get('agents', 'a')), 1);
});

test('only the owner can read the file and enter the directory, whatever the umask', async () => {
  const umask = process.umask(0);
  try {
    await withStore(putOne);
  } finally {
    process.umask(umask);
  }
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.equal(fs.statSync(directory).mode & 0o777, 0o700);
});

test('a file that is cut short anywhere, empty or changed in any byte is refused and left alone', async () => {
  await withStore(putOne);
  const good = fs.readFileSync(file);
  const damaged = [
    ...Array.from({ length: good.length }, (_, length) => good.subarray(0, length)),
    ...Array.from(good, (byte, at) => Buffer.from(good).fill(byte ^ 1, at, at + 1)),
    Buffer.from('not a state file\nat all\n'),
    Buffer.from('null\n'),
    Buffer.concat([good, Buffer.from('\n')]),
  ];
  for (const bytes of damaged) {
    fs.writeFileSync(file, bytes);
    await assert.rejects(FileStore.open(directory), corrupt, `accepted: ${bytes.toString()}`);
    assert.deepEqual(fs.readFileSync(file), bytes);
  }
  fs.writeFileSync(file, good);
  assert.equal(await withStore((store) => store.get('agents', 'a')), 1);
});

test('a state file that vanished is an error, not a fresh start', async () => {
  await withStore(putOne);
  fs.rmSync(file);
  await assert.rejects(FileStore.open(directory), corrupt);
});

test('a directory is open once', async () => {
  await withStore(async () => {
    await assert.rejects(
      FileStore.open(directory),
      (error) => isMeshError(error, 'STATE_LOCKED') && error.message.includes(String(process.pid)),
    );
  });
  await withStore(putOne);
});

test('the lock of a dead process, of a pid used again, or unreadable, is taken over', async () => {
  await withStore(putOne);
  const dead = spawn(process.execPath, ['-e', '']);
  await once(dead, 'exit');
  for (const owner of [
    JSON.stringify({ pid: dead.pid, host: hostname(), incarnation: 'x:1' }),
    JSON.stringify({ pid: dead.pid, host: hostname() }),
    JSON.stringify({ pid: process.pid, host: hostname(), incarnation: 'earlier-boot:1' }),
    '',
  ]) {
    fs.writeFileSync(join(directory, 'lock'), owner);
    assert.equal(await withStore((store) => store.get('agents', 'a')), 1);
  }
  assert.deepEqual(fs.readdirSync(directory).sort(), ['state.created', 'state.json']);
});

test('a lock of another host is respected', async () => {
  await withStore(putOne);
  fs.writeFileSync(join(directory, 'lock'), JSON.stringify({ pid: 1, host: 'elsewhere', incarnation: 'x:1' }));
  await assert.rejects(FileStore.open(directory), (error) => isMeshError(error, 'STATE_LOCKED'));
});

test('a store that lost its lock writes nothing', async () => {
  await withStore(async (store) => {
    await putOne(store);
    fs.rmSync(join(directory, 'lock'));
    await withStore(async (other) => {
      await assert.rejects(putOne(store), (error) => isMeshError(error, 'STATE_LOCKED'));
      await putOne(other);
    });
  });
});

test('a failed write changes neither the file nor what is read', async () => {
  await withStore(async (store) => {
    await putOne(store);
    const before = fs.readFileSync(file);
    // A directory in the place of the file makes the rename fail, for root as well.
    fs.renameSync(file, `${file}.kept`);
    fs.mkdirSync(join(file, 'x'), { recursive: true });
    await assert.rejects(store.commit([{ kind: 'put', collection: 'agents', key: 'b', value: 2 }]));
    fs.rmSync(file, { recursive: true });
    fs.renameSync(`${file}.kept`, file);
    assert.equal(await store.get('agents', 'b'), undefined);
    assert.deepEqual(fs.readFileSync(file), before);
  });
});

test('killed at any moment while committing, it opens with every commit that was confirmed, whole', async () => {
  const url = new URL('../../../src/platform/file-store.ts', import.meta.url).href;
  const program = `
    import { FileStore } from ${JSON.stringify(url)};
    const store = await FileStore.open(process.argv[1]);
    for (let n = 1; ; n += 1) {
      const put = (key) => ({ kind: 'put', collection: 'pair', key, value: n });
      await store.commit([put('left'), put('right')]);
      process.stdout.write(n + '\\n');
    }`;
  for (const commits of [1, 7, 20]) {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program, directory], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    let confirmed = 0;
    for await (const chunk of child.stdout) {
      confirmed = Number(String(chunk).trim().split('\n').at(-1));
      if (confirmed >= commits) child.kill('SIGKILL');
    }
    await exit;
    await withStore(async (store) => {
      const [left, right] = [await store.get('pair', 'left'), await store.get('pair', 'right')];
      assert.equal(left, right);
      assert.ok(Number(left) >= confirmed, `${confirmed} was confirmed, ${JSON.stringify(left)} is stored`);
    });
  }
  assert.deepEqual(fs.readdirSync(directory).sort(), ['state.created', 'state.json']);
});

test('commits that come together are written together: a thousand joins do not cost a thousand rewritings', async () => {
  await withStore(async (store) => {
    const inodes = new Set<number>();
    const commits = Array.from({ length: 200 }, async (_, n) => {
      await store.commit([{ kind: 'put', collection: 'agents', key: `a${n}`, value: n }]);
      // Each writing makes another file.
      inodes.add(fs.statSync(file).ino);
    });
    await Promise.all(commits);
    assert.ok(inodes.size <= 2, `${inodes.size} writings`);
  });
  assert.equal((await withStore((store) => store.list('agents'))).length, 200);
});

test('a writing that fails fails every commit in it, and the next one starts from what is on disk', async () => {
  const store = await FileStore.open(directory);
  await putOne(store);
  fs.chmodSync(directory, 0o500);
  const aside = `${directory}-aside`;
  fs.renameSync(directory, aside);
  const results = await Promise.allSettled([
    store.commit([{ kind: 'put', collection: 'agents', key: 'b', value: 1 }]),
    store.commit([{ kind: 'put', collection: 'agents', key: 'b', value: 2, condition: { absent: true } }]),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  assert.ok(!isMeshError((results[1] as PromiseRejectedResult).reason, 'STATE_CONFLICT'), 'b was never there');
  fs.renameSync(aside, directory);
  fs.chmodSync(directory, 0o700);
  await store.commit([{ kind: 'put', collection: 'agents', key: 'b', value: 3, condition: { absent: true } }]);
  await store.close();
  assert.equal(await withStore((again) => again.get('agents', 'b')), 3);
});
