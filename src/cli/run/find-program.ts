import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Exit codes that every shell and wrapper has for a command that could not be started. */
export const CANNOT_EXECUTE = 126;
export const NOT_FOUND = 127;

export type FoundProgram = 'found' | 'missing' | 'not_executable';

/**
 * Whether a program can be started, looked up as execvp(3) does: before anything is begun on its behalf, because a join
 * credential may have but one use.
 */
export function findProgram(program: string, path: string | undefined): FoundProgram {
  if (program.includes('/')) return look(program);
  const places = (path ?? '/usr/bin:/bin').split(delimiter).map((folder) => look(join(folder || '.', program)));
  if (places.includes('found')) return 'found';
  return places.includes('not_executable') ? 'not_executable' : 'missing';
}

function look(path: string): FoundProgram {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 'missing';
  if (!stats.isFile()) return 'not_executable';
  try {
    accessSync(path, constants.X_OK);
    return 'found';
  } catch {
    return 'not_executable';
  }
}
