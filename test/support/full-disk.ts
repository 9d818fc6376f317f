import { execFileSync } from 'node:child_process';

/**
 * Makes every file of a running process end after so many bytes: the write fails as on a full disk (EFBIG for ENOSPC),
 * for root as for anybody, and without a file system of its own. Its log, which is a pipe, goes on.
 *
 * @returns a function that makes room again.
 */
export function fillDiskOf({ pid }: { readonly pid: number }, bytes = 64): () => void {
  const limit = (value: string) => execFileSync('prlimit', ['--pid', String(pid), `--fsize=${value}:unlimited`]);
  limit(String(bytes));
  return () => void limit('unlimited');
}
