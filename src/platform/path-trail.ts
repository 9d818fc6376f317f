import { lstatSync, readlinkSync, type BigIntStats } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';

/** One directory that the resolution of a path passes through. */
export interface TrailStep {
  /** The directory, free of symbolic links. */
  readonly directory: string;
  /** Which directory is at that path now: another one moved into its place has another identity. */
  readonly identity: string;
  /** The entry that was looked up in it; undefined when any entry counts, as the path itself names this directory. */
  readonly name: string | undefined;
  /** Whether the entry is the file itself or a symbolic link on the way; else it is a directory, or missing. */
  readonly decisive: boolean;
}

/** How a path resolves at this moment. */
export interface Trail {
  readonly steps: readonly TrailStep[];
  /** Differs when the path leads elsewhere or the file at its end was changed; equal does not prove equal content. */
  readonly fingerprint: string;
}

/** As many as Linux follows. */
const MAX_LINKS = 40;

/**
 * Follows a path entry by entry, through every symbolic link, up to its file or to the first entry that is not there.
 * Synchronous, so that a trail is as close to one moment as it can be; some microseconds an entry. Never throws.
 */
export function followPath(path: string): Trail {
  const steps: TrailStep[] = [];
  const marks: string[] = [];
  const end = (mark: string): Trail => ({ steps, fingerprint: [...marks, mark].join('|') });

  const absolute = resolve(path);
  let directory = parse(absolute).root;
  const names = namesOf(absolute);
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      directory = dirname(directory);
      continue;
    }
    const identity = identityOf(directory);
    if (identity === undefined) return end(`gone ${directory}`);
    const entry = join(directory, name);
    let stats: BigIntStats;
    try {
      stats = lstatSync(entry, { bigint: true });
      if (stats.isSymbolicLink()) {
        const target = readlinkSync(entry);
        steps.push({ directory, identity, name, decisive: true });
        marks.push(`link ${stats.dev}:${stats.ino} ${target}`);
        links += 1;
        if (links > MAX_LINKS) return end('too many links');
        names.unshift(...namesOf(target));
        if (target.startsWith('/')) directory = parse(target).root;
        continue;
      }
    } catch (error) {
      steps.push({ directory, identity, name, decisive: false });
      return end(`${(error as NodeJS.ErrnoException).code ?? 'error'} ${entry}`);
    }
    if (!stats.isDirectory()) {
      steps.push({ directory, identity, name, decisive: names.length === 0 });
      return end(`file ${stats.dev}:${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`);
    }
    steps.push({ directory, identity, name, decisive: false });
    directory = entry;
  }
  const identity = identityOf(directory);
  if (identity === undefined) return end(`gone ${directory}`);
  steps.push({ directory, identity, name: undefined, decisive: true });
  return end(`directory ${identity}`);
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** Birth time included: an inode number is used again soon after its directory was deleted. */
function identityOf(directory: string): string | undefined {
  const stats = lstatSync(directory, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined || !stats.isDirectory()) return undefined;
  return `${directory} ${stats.dev}:${stats.ino}:${stats.birthtimeNs}`;
}
