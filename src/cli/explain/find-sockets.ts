import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOCKET = 'admin.sock';
/** The kernel's limit for the path of a unix socket; one with a longer path is reached by another one, or not at all. */
const MAX_SOCKET_PATH = 107;
const MAX_DEPTH = 5;
const MAX_FOLDERS = 2_000;

/** Every `admin.sock` below a folder; links are followed (sockets may lie elsewhere), each folder is looked at once. */
export function findAdminSockets(root: string): readonly string[] {
  const sockets: string[] = [];
  const seen = new Set<string>();
  const visit = (folder: string, depth: number): void => {
    const real = resolved(folder);
    if (real === undefined || seen.has(real) || seen.size >= MAX_FOLDERS) return;
    seen.add(real);
    for (const entry of list(real)) {
      const path = join(real, entry);
      const stats = statSync(path, { throwIfNoEntry: false });
      const fits = Buffer.byteLength(path) <= MAX_SOCKET_PATH;
      if (stats?.isSocket() === true && entry === SOCKET && fits) sockets.push(path);
      else if (stats?.isDirectory() === true && depth < MAX_DEPTH) visit(path, depth + 1);
    }
  };
  visit(root, 0);
  return sockets.toSorted();
}

function resolved(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // Not there: nothing to find in it.
    return undefined;
  }
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Somebody else's.
    return [];
  }
}
