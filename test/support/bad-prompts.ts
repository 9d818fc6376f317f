import { execFile } from 'node:child_process';
import { lstat, mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { FailureReason } from '../../src/sidecar/measure/measurement-problem.ts';
import type { RejectionCode } from '../../src/domain/rejection.ts';

/** One way in which a prompt file can be no prompt. */
export interface BadPrompt {
  readonly what: string;
  /** Makes such a file at `draft`, from where it is moved to `path`. */
  readonly make: (draft: string, path: string) => Promise<unknown>;
  readonly code: RejectionCode;
  readonly reason: FailureReason;
  /** What the operator is told, after the path. */
  readonly says: RegExp;
}

export const BAD_PROMPTS: readonly BadPrompt[] = [
  {
    what: 'missing',
    make: async () => undefined,
    code: 'MEASUREMENT_UNREADABLE',
    reason: 'missing',
    says: /does not exist/,
  },
  {
    what: 'a dangling symbolic link',
    make: (draft) => symlink(`${draft}.gone`, draft),
    code: 'MEASUREMENT_UNREADABLE',
    reason: 'missing',
    says: /does not exist/,
  },
  {
    what: 'a symbolic link to itself',
    make: (draft, path) => symlink(path, draft),
    code: 'MEASUREMENT_UNREADABLE',
    reason: 'unreadable',
    says: /symbolic links go round in a circle/,
  },
  {
    what: 'a directory',
    make: (path) => mkdir(path),
    code: 'MEASUREMENT_UNREADABLE',
    reason: 'not_a_file',
    says: /not a regular file/,
  },
  {
    what: 'a named pipe that nobody writes to',
    make: (path) => promisify(execFile)('mkfifo', [path]),
    code: 'MEASUREMENT_UNREADABLE',
    reason: 'not_a_file',
    says: /not a regular file/,
  },
  {
    what: 'empty',
    make: (path) => writeFile(path, ''),
    code: 'MEASUREMENT_INVALID',
    reason: 'empty',
    says: /empty/,
  },
  {
    what: 'nothing but a byte order mark',
    make: (path) => writeFile(path, '\uFEFF'),
    code: 'MEASUREMENT_INVALID',
    reason: 'empty',
    says: /empty/,
  },
  {
    what: 'binary',
    make: (path) => writeFile(path, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0x02, 0x01, 0x01, 0x00, 0x0a])),
    code: 'MEASUREMENT_INVALID',
    reason: 'binary',
    says: /byte \d+/,
  },
  {
    what: 'text in Latin-1',
    make: (path) => writeFile(path, Buffer.from('Sei h\u00f6flich.\n', 'latin1')),
    code: 'MEASUREMENT_INVALID',
    reason: 'not_utf8',
    says: /not UTF-8 at byte 5/,
  },
  {
    what: 'of 100 MB',
    make: async (path) => {
      await writeFile(path, 'You are planner.\n');
      await truncate(path, 100 * 1024 * 1024);
    },
    code: 'MEASUREMENT_INVALID',
    reason: 'too_large',
    says: /larger than 1048576 bytes/,
  },
];

/** Puts something else where a prompt was, whole at one moment: how long it takes to make is not what is seen. */
export async function replacePrompt(path: string, make: BadPrompt['make']): Promise<void> {
  const draft = `${path}.draft`;
  await make(draft, path);
  const isThere = (await lstat(draft).catch(() => undefined)) !== undefined;
  await rm(path, { recursive: true, force: true });
  if (isThere) await rename(draft, path);
}
