import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { MeshError } from '../domain/mesh-error.ts';
import { systemRandom } from './random.ts';

const LOCK_FILE = 'lock';

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** Which process had the pid: pids are used again, in containers at once. Empty where the system does not say. */
  readonly incarnation: string;
}

/** A directory held by one process. */
export interface DirectoryLock {
  /** Whether the lock is still this process's: someone may have deleted the file by hand. */
  held(): boolean;
  release(): void;
}

/**
 * Takes a directory for this process by a `lock` file in it. The lock of a process that has died is taken over; one of
 * another host cannot be judged and counts as alive (fails closed).
 *
 * @throws MeshError `STATE_LOCKED` naming the owner.
 */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, LOCK_FILE);
  const unique = systemRandom.bytes(6).toString('hex');
  const candidate = join(directory, `.${LOCK_FILE}.${unique}.new`);
  const owner: Owner = { pid: process.pid, host: hostname(), incarnation: incarnationOf(process.pid) ?? '' };
  const content = `${JSON.stringify({ ...owner, nonce: unique })}\n`;
  writeFileSync(candidate, content, { flag: 'wx', mode: 0o600 });
  const held = (): boolean => readText(path) === content;
  try {
    // Two processes may both find a dead owner, and one take the other's fresh lock; `held` before each write settles it.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (linked(candidate, path)) return { held, release: () => (held() ? rmSync(path, { force: true }) : undefined) };
      refuseIfAlive(path);
      setAside(path, join(directory, `.${LOCK_FILE}.${unique}.stale`));
    }
    throw new MeshError('STATE_LOCKED', `${directory} is being taken by another process`);
  } finally {
    rmSync(candidate, { force: true });
  }
}

/** A hard link appears whole or not at all, so that nobody reads a lock without its owner. */
function linked(candidate: string, path: string): boolean {
  try {
    linkSync(candidate, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function refuseIfAlive(path: string): void {
  const owner = readOwner(path);
  if (owner === undefined || !isAlive(owner)) return;
  throw new MeshError('STATE_LOCKED', `${path}: in use by process ${owner.pid} on ${owner.host}`, {
    hint:
      owner.host === hostname()
        ? 'stop that process, or give this one another directory'
        : `if nothing on ${owner.host} uses the directory any more, delete the lock file`,
  });
}

function setAside(path: string, aside: string): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const taken = readOwner(aside);
  const alive = taken !== undefined && isAlive(taken);
  if (alive) linked(aside, path);
  rmSync(aside, { force: true });
}

function readOwner(path: string): Owner | undefined {
  try {
    const owner = JSON.parse(readText(path) ?? '') as Partial<Owner> | null;
    if (typeof owner?.pid !== 'number' || typeof owner.host !== 'string') return undefined;
    return { pid: owner.pid, host: owner.host, incarnation: owner.incarnation ?? '' };
  } catch {
    // Linked whole, so what cannot be read was damaged by a power cut, or is gone.
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isAlive(owner: Owner): boolean {
  if (owner.host !== hostname()) return true;
  const incarnation = incarnationOf(owner.pid);
  if (incarnation !== undefined && owner.incarnation !== '') return incarnation === owner.incarnation;
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The boot and the tick at which a process started, from Linux's /proc; `none` when there is no such process. */
function incarnationOf(pid: number): string | undefined {
  let boot: string;
  try {
    boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): the name in parentheses may hold anything; the start time is field 22, the 20th after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; in a container without an init nobody may ever reap it.
    return fields[0] === 'Z' || fields[0] === 'X' ? 'none' : `${boot}:${fields[19]}`;
  } catch {
    return 'none';
  }
}
