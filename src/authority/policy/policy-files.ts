import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PolicyProblem } from './policy-yaml.ts';

/** More is no policy but a mistake, or an attack on the parser. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_FILES = 10_000;
const MAX_DEPTH = 8;

/** All policy files of a directory as they are now. */
export interface PolicyListing {
  /** Name relative to the directory → text. */
  readonly texts: ReadonlyMap<string, string>;
  /** Every directory that was looked into, to be watched. */
  readonly directories: readonly string[];
  /** Files that are there and cannot be read: they count as broken, not as gone. */
  readonly problems: readonly PolicyProblem[];
}

/**
 * Reads every `.yaml` and `.yml` below a directory, links followed. Names that begin with a dot are skipped: Kubernetes
 * keeps the real files of a mounted ConfigMap in such a folder, and would show each twice.
 *
 * @throws the system's error when the directory itself cannot be listed.
 */
export async function listPolicyFiles(root: string): Promise<PolicyListing> {
  const texts = new Map<string, string>();
  const directories: string[] = [];
  const problems: PolicyProblem[] = [];

  const visit = async (relative: string, depth: number): Promise<void> => {
    const directory = join(root, relative);
    const names = await readdir(directory);
    directories.push(directory);
    for (const name of names.toSorted()) {
      if (name.startsWith('.')) continue;
      const path = relative === '' ? name : `${relative}/${name}`;
      try {
        const stats = await stat(join(root, path));
        if (stats.isDirectory()) {
          if (depth < MAX_DEPTH) await visit(path, depth + 1);
        } else if (/\.ya?ml$/.test(name)) {
          if (!stats.isFile()) throw new Error('is not a regular file');
          if (stats.size > MAX_FILE_BYTES) throw new Error(`is larger than ${MAX_FILE_BYTES} bytes`);
          if (texts.size >= MAX_FILES) throw new Error(`is one more than ${MAX_FILES} files`);
          texts.set(path, new TextDecoder('utf-8', { fatal: true }).decode(await readFile(join(root, path))));
        }
      } catch (error) {
        // Gone between listing and reading, or a dangling link: the same as not being there.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        problems.push(unreadable(path, (error as Error).message));
      }
    }
  };
  await visit('', 0);
  return { texts, directories, problems };
}

/** Whether two listings have the same files with the same contents. */
export function sameListing(a: PolicyListing, b: PolicyListing): boolean {
  if (a.texts.size !== b.texts.size || a.problems.length !== b.problems.length) return false;
  return [...a.texts].every(([name, text]) => b.texts.get(name) === text);
}

function unreadable(file: string, reason: string): PolicyProblem {
  return { severity: 'error', file, line: 0, column: 0, field: '', message: `cannot be read: ${reason}` };
}
