import { statSync, type BigIntStats } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../platform/clock.ts';
import type { PolicyProblem } from './policy-yaml.ts';

/** More is no policy but a mistake, or an attack on the parser. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_FILES = 10_000;
const MAX_DEPTH = 8;
/** Files read side by side: one after the other, a thousand files would hold up a revocation. */
const AT_ONCE = 64;

/** All policy files of a directory as they are now. */
export interface PolicyListing {
  /** Name relative to the directory → text. */
  readonly texts: ReadonlyMap<string, string>;
  /** Every directory that was looked into, to be watched. */
  readonly directories: readonly string[];
  /** Files that are there and cannot be read: they count as broken, not as gone. */
  readonly problems: readonly PolicyProblem[];
}

/** A text that was read, and by what it is seen that the file still has it. */
interface KnownText {
  readonly stamp: string;
  readonly text: string;
}

/** What was read before, by path. Kept by whoever lists the same directory again and again. */
export type KnownTexts = Map<string, KnownText>;

/**
 * A file that changes twice within the coarseness of the file system's clock keeps its stamp: what was read so soon after
 * a change, in ms, is read again.
 */
const COARSE_MS = 100;

/**
 * Reads every `.yaml` and `.yml` below a directory, links followed. Names that begin with a dot are skipped: Kubernetes
 * keeps the real files of a mounted ConfigMap in such a folder, and would show each twice.
 *
 * @param known texts that need not be read again where the file is the same by its inode, size and times; kept up to date
 * @throws the system's error when the directory itself cannot be listed.
 */
export async function listPolicyFiles(root: string, known: KnownTexts = new Map()): Promise<PolicyListing> {
  const texts = new Map<string, string>();
  const directories: string[] = [];
  const problems: PolicyProblem[] = [];

  const visit = async (relative: string, depth: number): Promise<void> => {
    const directory = join(root, relative);
    const names = (await readdir(directory)).filter((name) => !name.startsWith('.')).toSorted();
    directories.push(directory);
    for (let next = 0; next < names.length; next += AT_ONCE) {
      const paths = names.slice(next, next + AT_ONCE).map((name) => (relative === '' ? name : `${relative}/${name}`));
      // What is known already waits for nothing: of a thousand files that nobody touched, not one is read.
      const looks = paths.map((path) => lookAt(root, path, known));
      const entries = await Promise.all(looks.map((look) => Promise.resolve(look)));
      for (const entry of entries) {
        if (entry.kind === 'directory' && depth < MAX_DEPTH) {
          await visit(entry.path, depth + 1).catch((error: unknown) => {
            const problem = problemOf(entry.path, error);
            if (problem !== undefined) problems.push(problem);
          });
        } else if (entry.kind === 'unreadable') problems.push(entry.problem);
        else if (entry.kind === 'file') {
          if (texts.size < MAX_FILES) texts.set(entry.path, entry.text);
          else problems.push(unreadable(entry.path, `is one more than ${MAX_FILES} files`));
        }
      }
    }
  };
  await visit('', 0);
  for (const path of known.keys()) if (!texts.has(path)) known.delete(path);
  return { texts, directories, problems };
}

type Entry =
  | { readonly kind: 'directory' | 'other'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly text: string }
  | { readonly kind: 'unreadable'; readonly path: string; readonly problem: PolicyProblem };

/** Asking a thousand files one after the other takes a few milliseconds; through the thread pool it takes fifty. */
function lookAt(root: string, path: string, known: KnownTexts): Entry | Promise<Entry> {
  try {
    const stats = statSync(join(root, path), { bigint: true });
    if (stats.isDirectory()) return { kind: 'directory', path };
    if (!/\.ya?ml$/.test(path)) return { kind: 'other', path };
    if (!stats.isFile()) throw new Error('is not a regular file');
    if (stats.size > MAX_FILE_BYTES) throw new Error(`is larger than ${MAX_FILE_BYTES} bytes`);
    const stamp = stampOf(stats);
    const before = known.get(path);
    if (before !== undefined && before.stamp === stamp) return { kind: 'file', path, text: before.text };
    return readEntry(root, path, { stamp, changedAt: Number(stats.ctimeMs), known });
  } catch (error) {
    return entryOf(path, error);
  }
}

async function readEntry(
  root: string,
  path: string,
  { stamp, changedAt, known }: { readonly stamp: string; readonly changedAt: number; readonly known: KnownTexts },
): Promise<Entry> {
  try {
    const readAt = systemClock.now();
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(join(root, path)));
    if (Math.abs(readAt - changedAt) > COARSE_MS) known.set(path, { stamp, text });
    return { kind: 'file', path, text };
  } catch (error) {
    return entryOf(path, error);
  }
}

function entryOf(path: string, error: unknown): Entry {
  const problem = problemOf(path, error);
  return problem === undefined ? { kind: 'other', path } : { kind: 'unreadable', path, problem };
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

/** `undefined`: gone between listing and reading, or a dangling link, which is the same as not being there. */
function problemOf(path: string, error: unknown): PolicyProblem | undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  return unreadable(path, (error as Error).message);
}

/** Whether two listings have the same files with the same contents. */
export function sameListing(a: PolicyListing, b: PolicyListing): boolean {
  if (a.texts.size !== b.texts.size || a.problems.length !== b.problems.length) return false;
  return [...a.texts].every(([name, text]) => b.texts.get(name) === text);
}

function unreadable(file: string, reason: string): PolicyProblem {
  return { severity: 'error', file, line: 0, column: 0, field: '', message: `cannot be read: ${reason}` };
}
