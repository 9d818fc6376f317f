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
  /**
   * Whether everybody keeps things here, as in /tmp, and all that is passed through is a directory in it, which tells of its
   * own removal. What others do here is then nothing but noise: a thousand events a second, on a busy machine.
   */
  readonly isCrowded: boolean;
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
  // What is not there may come anywhere on the way, also where a directory that was removed is still somebody's.
  const missing = (mark: string): Trail => ({
    ...end(mark),
    steps: steps.map((step) => ({ ...step, isCrowded: false })),
  });

  const absolute = resolve(path);
  let directory = parse(absolute).root;
  const names = namesOf(absolute);
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      directory = dirname(directory);
      continue;
    }
    const place = placeOf(directory);
    if (place === undefined) return missing(`gone ${directory}`);
    const { identity, isSticky } = place;
    const entry = join(directory, name);
    let stats: BigIntStats;
    try {
      stats = lstatSync(entry, { bigint: true });
      if (stats.isSymbolicLink()) {
        const target = readlinkSync(entry);
        steps.push({ directory, identity, name, decisive: true, isCrowded: false });
        marks.push(`link ${stats.dev}:${stats.ino} ${target}`);
        links += 1;
        if (links > MAX_LINKS) return missing('too many links');
        names.unshift(...namesOf(target));
        if (target.startsWith('/')) directory = parse(target).root;
        continue;
      }
    } catch (error) {
      steps.push({ directory, identity, name, decisive: false, isCrowded: false });
      return missing(`${(error as NodeJS.ErrnoException).code ?? 'error'} ${entry}`);
    }
    if (!stats.isDirectory()) {
      steps.push({ directory, identity, name, decisive: names.length === 0, isCrowded: false });
      return end(`file ${stats.dev}:${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`);
    }
    steps.push({ directory, identity, name, decisive: false, isCrowded: isSticky });
    directory = entry;
  }
  const place = placeOf(directory);
  if (place === undefined) return missing(`gone ${directory}`);
  steps.push({ directory, identity: place.identity, name: undefined, decisive: true, isCrowded: false });
  return end(`directory ${place.identity}`);
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** Anybody may make entries, and nobody may remove those of others. */
const STICKY = 0o1000n;

/** Birth time included: an inode number is used again soon after its directory was deleted. */
function placeOf(directory: string): { readonly identity: string; readonly isSticky: boolean } | undefined {
  const stats = lstatSync(directory, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined || !stats.isDirectory()) return undefined;
  const identity = `${directory} ${stats.dev}:${stats.ino}:${stats.birthtimeNs}`;
  return { identity, isSticky: (stats.mode & STICKY) !== 0n };
}
