import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemRandom } from './random.ts';

export interface WriteFileAtomicOptions {
  /** Permission bits of the new file, whatever the umask or the old file's. Default 0o600. */
  readonly mode?: number;
}

/**
 * Replaces a file so that a reader, or a crash at any moment, sees the old content or the new, never a part, and so that
 * what was written is on disk when this resolves. A failure removes the temporary file and leaves the old one.
 *
 * @throws the system's error (`ENOSPC`, `EACCES`, …) unchanged.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: WriteFileAtomicOptions = {},
): Promise<void> {
  const mode = options.mode ?? 0o600;
  const directory = dirname(path);
  // In the same directory, since a rename is atomic only within one file system. The name is new: `wx` follows no link.
  const temporary = join(directory, `.${basename(path)}.${systemRandom.bytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.chmod(mode);
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Makes a rename in a directory survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
