import { lstatSync, statSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Assurance } from '../../domain/measurement.ts';
import { followPath } from '../../platform/path-trail.ts';

/** Whom a source must be safe from. */
export interface AgentAccount {
  /** The user id the agent runs under; `undefined`: not known. */
  readonly uid: number | undefined;
  /** Its groups; `undefined`: not known, so that whatever any group may write counts as the agent's. */
  readonly gids: readonly number[] | undefined;
}

export interface AssuranceOptions {
  readonly agent: AgentAccount;
  /** The sidecar's own user id; `undefined` where the system has none. */
  readonly sidecarUid: number | undefined;
}

/** Tells by what means the content of one path was obtained, as far as the file system shows it. Never throws. */
export type AssuranceOf = (path: string) => Extract<Assurance, 'declared' | 'at_rest'>;

/**
 * `at_rest` only when the agent's account can change neither the file nor what its path leads to: it owns and may write
 * neither the file nor any directory passed on the way, those of symbolic links included. In a sticky directory that
 * is not its own it can replace only its own entries.
 *
 * Fails closed: an unknown account, root, the sidecar's own account, or anything that cannot be looked at gives
 * `declared`. Access control lists grant more than these bits show; do not use them on measured paths.
 *
 * @returns a check for one pass over the sources: it remembers directories, so make a new one for each pass.
 */
export function createAssuranceCheck({ agent, sidecarUid }: AssuranceOptions): AssuranceOf {
  const { uid, gids } = agent;
  if (uid === undefined || uid === 0 || sidecarUid === undefined || uid === sidecarUid) return () => 'declared';
  const owner: Owner = { uid, gids };
  const folders = new Map<string, boolean>();
  const folderIsSafe = (folder: string): boolean => {
    const known = folders.get(folder);
    if (known !== undefined) return known;
    const safe = isTrailSafe(folder, owner);
    folders.set(folder, safe);
    return safe;
  };
  return (path) => {
    try {
      const absolute = resolve(path);
      const entry = lstatSync(absolute);
      // A link's target lies elsewhere: its whole way counts, and is not worth remembering.
      const safe = entry.isSymbolicLink()
        ? isTrailSafe(absolute, owner)
        : folderIsSafe(dirname(absolute)) &&
          isEntrySafe(dirname(absolute), entry, owner) &&
          isContentSafe(entry, owner);
      return safe ? 'at_rest' : 'declared';
    } catch {
      return 'declared';
    }
  };
}

interface Owner {
  readonly uid: number;
  readonly gids: readonly number[] | undefined;
}

/** Walks the whole resolution of a path; the last stop must exist. */
function isTrailSafe(path: string, owner: Owner): boolean {
  for (const { directory, name } of followPath(path).steps) {
    // The last step of a path to a directory is that directory: its entries are judged one by one.
    if (name !== undefined && !isEntrySafe(directory, lstatSync(join(directory, name)), owner)) return false;
  }
  return isContentSafe(statSync(path), owner);
}

/** Whether the agent can put another thing in the place of a directory's entry. */
function isEntrySafe(directory: string, entry: Stats, owner: Owner): boolean {
  const stats = lstatSync(directory);
  if (stats.uid === owner.uid) return false;
  if (!mayWrite(stats, owner)) return true;
  const sticky = (stats.mode & 0o1000) !== 0;
  return sticky && entry.uid !== owner.uid;
}

/** A directory's own content is judged entry by entry, so that a sticky one may pass. */
function isContentSafe(stats: Stats, owner: Owner): boolean {
  if (stats.uid === owner.uid) return false;
  return stats.isDirectory() || !mayWrite(stats, owner);
}

/** The class of permission bits that applies; an owner counts as able to write, since it can change the bits. */
function mayWrite(stats: Stats, { uid, gids }: Owner): boolean {
  if (stats.uid === uid || (stats.mode & 0o002) !== 0) return true;
  return (stats.mode & 0o020) !== 0 && (gids === undefined || gids.includes(stats.gid));
}
