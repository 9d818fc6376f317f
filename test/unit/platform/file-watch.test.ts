import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, afterEach, describe, test } from 'node:test';
import { watchPaths } from '../../../src/platform/file-watch.ts';

const DEADLINE_MS = 2_000;
let root: string;
let closers: (() => void)[];

beforeEach(() => {
  root = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'file-watch-')));
  closers = [];
});
afterEach(() => {
  for (const close of closers) close();
  fs.rmSync(root, { recursive: true, force: true });
});

/** Watches files; `seen(content)` resolves when a callback finds that content at the path. */
function watchContent(path: string, others: string[] = []) {
  const waiting = new Set<() => void>();
  const calls: string[] = [];
  const read = (): string | undefined => {
    try {
      return fs.readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  };
  closers.push(
    watchPaths({
      paths: [path, ...others],
      onChange: (changed) => {
        calls.push(changed);
        for (const check of waiting) check();
      },
    }),
  );
  const seen = (content: string | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no callback found ${content}; the file has ${read()}`)),
        DEADLINE_MS,
      );
      const check = (): void => {
        if (read() !== content) return;
        clearTimeout(timer);
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
    });
  return { calls, seen };
}

/** Makes the change and waits for the callback that sees it: the wait begins before the change. */
async function changes(watched: ReturnType<typeof watchContent>, content: string | undefined, change: () => void) {
  const seen = watched.seen(content);
  change();
  await seen;
}

describe('watchPaths sees, again and again,', () => {
  test('a write in place', async () => {
    const path = join(root, 'prompt');
    fs.writeFileSync(path, '0');
    const watched = watchContent(path);
    for (const content of ['1', '2', '3']) await changes(watched, content, () => fs.writeFileSync(path, content));
  });

  test('a file renamed over it', async () => {
    const path = join(root, 'prompt');
    fs.writeFileSync(path, '0');
    const watched = watchContent(path);
    for (const content of ['1', '2', '3']) {
      await changes(watched, content, () => {
        fs.writeFileSync(join(root, 'new'), content);
        fs.renameSync(join(root, 'new'), path);
      });
    }
    await changes(watched, 'in place', () => fs.writeFileSync(path, 'in place'));
  });

  test('deletion and re-creation', async () => {
    const path = join(root, 'prompt');
    fs.writeFileSync(path, '0');
    const watched = watchContent(path);
    for (const content of ['1', '2']) {
      await changes(watched, undefined, () => fs.rmSync(path));
      await changes(watched, content, () => fs.writeFileSync(path, content));
    }
  });

  test('a Kubernetes ConfigMap update: the ..data link swapped, the old directory removed', async () => {
    const volume = join(root, 'volume');
    const publish = (version: string): void => {
      const previous = fs.existsSync(join(volume, '..data')) ? fs.readlinkSync(join(volume, '..data')) : undefined;
      fs.mkdirSync(join(volume, `..${version}`), { recursive: true });
      fs.writeFileSync(join(volume, `..${version}`, 'prompt'), version);
      fs.symlinkSync(`..${version}`, join(volume, '..data_tmp'));
      fs.renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
      if (previous !== undefined) fs.rmSync(join(volume, previous), { recursive: true });
    };
    publish('v0');
    fs.symlinkSync('..data/prompt', join(volume, 'prompt'));
    const watched = watchContent(join(volume, 'prompt'));
    for (const version of ['v1', 'v2', 'v3', 'v4']) await changes(watched, version, () => publish(version));
    await changes(watched, 'x', () => fs.writeFileSync(join(volume, '..data/prompt'), 'x'));
  });

  test('a chain of links, absolute and relative, swapped at any place', async () => {
    for (const name of ['a', 'b']) {
      fs.mkdirSync(join(root, name));
      fs.writeFileSync(join(root, name, 'prompt'), name);
    }
    const swap = (target: string, link: string): void => {
      fs.symlinkSync(target, `${link}.tmp`);
      fs.renameSync(`${link}.tmp`, link);
    };
    fs.mkdirSync(join(root, 'links'));
    swap(join(root, 'a'), join(root, 'links', 'current'));
    swap('links/current', join(root, 'entry'));
    const watched = watchContent(join(root, 'entry', 'prompt'));
    await changes(watched, 'b', () => swap(join(root, 'b'), join(root, 'links', 'current')));
    await changes(watched, 'b2', () => fs.writeFileSync(join(root, 'b', 'prompt'), 'b2'));
    await changes(watched, 'a', () => swap('a', join(root, 'entry')));
    await changes(watched, 'a2', () => fs.writeFileSync(join(root, 'a', 'prompt'), 'a2'));
    // `ln -sfn` without a rename: the link is missing for a moment.
    await changes(watched, 'b2', () => {
      fs.rmSync(join(root, 'entry'));
      fs.symlinkSync('../../nowhere/../b', join(root, 'entry'));
      fs.rmSync(join(root, 'entry'));
      fs.symlinkSync('./b', join(root, 'entry'));
    });
  });

  for (const depth of [1, 2]) {
    test(`a parent ${depth} above moved away and replaced`, async () => {
      const inner = depth === 1 ? 'dir' : 'dir/inner';
      fs.mkdirSync(join(root, inner), { recursive: true });
      fs.writeFileSync(join(root, inner, 'prompt'), '0');
      const watched = watchContent(join(root, inner, 'prompt'));
      for (const content of ['1', '2']) {
        fs.mkdirSync(join(root, 'next', ...(depth === 1 ? [] : ['inner'])), { recursive: true });
        fs.writeFileSync(join(root, 'next', ...(depth === 1 ? [] : ['inner']), 'prompt'), content);
        await changes(watched, content, () => {
          fs.renameSync(join(root, 'dir'), join(root, `old-${content}`));
          fs.renameSync(join(root, 'next'), join(root, 'dir'));
        });
        await changes(watched, `${content}+`, () => fs.writeFileSync(join(root, inner, 'prompt'), `${content}+`));
      }
    });
  }

  test('a parent deleted and created anew, whose inode may be the same', async () => {
    const path = join(root, 'dir', 'prompt');
    const create = (content: string): void => {
      fs.mkdirSync(join(root, 'dir'));
      fs.writeFileSync(path, content);
    };
    create('0');
    const watched = watchContent(path);
    for (const content of ['1', '2', '3']) {
      await changes(watched, content, () => {
        fs.rmSync(join(root, 'dir'), { recursive: true });
        create(content);
      });
      await changes(watched, `${content}+`, () => fs.writeFileSync(path, `${content}+`));
    }
  });

  test('a file that appears with all its directories', async () => {
    const path = join(root, 'a', 'b', 'c', 'prompt');
    const watched = watchContent(path);
    await changes(watched, '1', () => {
      fs.mkdirSync(join(root, 'a', 'b', 'c'), { recursive: true });
      fs.writeFileSync(path, '1');
    });
    await changes(watched, '2', () => fs.writeFileSync(path, '2'));
  });

  test('a link that dangles until its target appears', async () => {
    fs.symlinkSync('later/prompt', join(root, 'prompt'));
    const watched = watchContent(join(root, 'prompt'));
    await changes(watched, '1', () => {
      fs.mkdirSync(join(root, 'later'));
      fs.writeFileSync(join(root, 'later', 'prompt'), '1');
    });
  });
});

describe('in a directory where everybody keeps things, such as /tmp,', () => {
  const place = (): string => join(root, 'mine', 'prompt');
  const create = (content: string): void => {
    fs.mkdirSync(join(root, 'mine'));
    fs.writeFileSync(place(), content);
  };
  beforeEach(() => {
    fs.chmodSync(root, 0o1777);
    create('0');
  });

  test('what others do is not even heard', { skip: process.platform !== 'linux' }, async () => {
    const watched = watchContent(place());
    assert.ok(inodesHeard().has(inodeOf(join(root, 'mine'))));
    assert.ok(!inodesHeard().has(inodeOf(root)));
    await changes(watched, undefined, () => fs.rmSync(place()));
    assert.ok(inodesHeard().has(inodeOf(root)), 'what is missing may come anywhere on the way');
    await changes(watched, '1', () => fs.writeFileSync(place(), '1'));
    assert.ok(!inodesHeard().has(inodeOf(root)));
  });

  test('a directory replaced by another is seen', async () => {
    const watched = watchContent(place());
    for (const content of ['1', '2', '3']) {
      await changes(watched, content, () => {
        fs.renameSync(join(root, 'mine'), join(root, `before ${content}`));
        create(content);
      });
      await changes(watched, `${content}+`, () => fs.writeFileSync(place(), `${content}+`));
    }
  });

  test('a directory that is deleted while somebody has it open, and made anew, is seen', async () => {
    const watched = watchContent(place());
    const held = fs.opendirSync(join(root, 'mine'));
    await changes(watched, undefined, () => fs.rmSync(join(root, 'mine'), { recursive: true }));
    await changes(watched, '1', () => create('1'));
    held.closeSync();
  });

  test('a file in it, and a link in it, are watched like anywhere else', async () => {
    const file = join(root, 'prompt');
    fs.writeFileSync(file, '0');
    const watched = watchContent(file);
    await changes(watched, '1', () => fs.writeFileSync(file, '1'));
    fs.symlinkSync('mine', join(root, 'link'));
    const through = watchContent(join(root, 'link', 'prompt'));
    fs.mkdirSync(join(root, 'other'));
    fs.writeFileSync(join(root, 'other', 'prompt'), '2');
    await changes(through, '2', () => {
      fs.symlinkSync('other', join(root, 'next'));
      fs.renameSync(join(root, 'next'), join(root, 'link'));
    });
  });
});

function inodeOf(path: string): number {
  return fs.statSync(path).ino;
}

/** Of every inotify watch of this process (proc_pid_fdinfo(5)). */
function inodesHeard(): Set<number> {
  const texts = fs.readdirSync('/proc/self/fdinfo').map((fd) => {
    // One of them is that of the listing itself.
    const path = `/proc/self/fdinfo/${fd}`;
    return fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : '';
  });
  const found = texts.join('\n').matchAll(/^inotify wd:\S+ ino:([0-9a-f]+)/gm);
  return new Set([...found].map(([, inode = '']) => Number.parseInt(inode, 16)));
}

test('only the path whose content may have changed is called back', async () => {
  const [one, two] = [join(root, 'one'), join(root, 'two')];
  for (const path of [one, two]) fs.writeFileSync(path, '0');
  const watched = watchContent(one, [two]);
  fs.writeFileSync(join(root, 'unrelated'), 'x');
  await changes(watched, '1', () => fs.writeFileSync(one, '1'));
  assert.deepEqual([...new Set(watched.calls)], [one]);
});

test('a directory counts as changed when an entry in it does', async () => {
  const directory = join(root, 'kb');
  fs.mkdirSync(directory);
  const changed = new Promise<string>((resolve, reject) => {
    setTimeout(() => reject(new Error('no callback')), DEADLINE_MS).unref();
    closers.push(watchPaths({ paths: [directory], onChange: resolve }));
  });
  fs.writeFileSync(join(directory, 'article'), 'x');
  assert.equal(await changed, directory);
});

test('a loop of links neither throws nor hangs, and its repair is seen', async () => {
  fs.symlinkSync('b', join(root, 'a'));
  fs.symlinkSync('a', join(root, 'b'));
  const watched = watchContent(join(root, 'a'));
  await changes(watched, 'repaired', () => {
    fs.rmSync(join(root, 'b'));
    fs.writeFileSync(join(root, 'b'), 'repaired');
  });
});

test('after close no callback comes', async () => {
  const path = join(root, 'prompt');
  fs.writeFileSync(path, '0');
  let calls = 0;
  const close = watchPaths({ paths: [path], onChange: () => (calls += 1) });
  fs.writeFileSync(path, '1');
  close();
  close();
  // Another watch of the same directory that has seen a later write proves that the events have been delivered.
  const witness = fs.watch(root);
  fs.writeFileSync(path, '2');
  await once(witness, 'change');
  witness.close();
  assert.equal(calls, 0);
});
