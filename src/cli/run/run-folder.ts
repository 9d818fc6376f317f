import { closeSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { clearStaleSocket } from '../../platform/admin-socket.ts';
import { lockDirectory, type DirectoryLock } from '../../platform/directory-lock.ts';
import { createFileDescriptorDestination, type LogDestination } from '../../platform/logger.ts';
import type { SidecarConfig } from '../../sidecar/config.ts';
import { ownFolder } from '../mesh-runner/mesh-layout.ts';
import { peerName } from './agent-environment.ts';
import { agentSocket, socketFolder } from './sockets.ts';

/** The state directory of one agent while `ait run` has it, with the sidecar's log and the sockets that we chose. */
export class RunFolder {
  /** The sidecar's log; `undefined`: it goes to standard error. */
  readonly logFile: string | undefined;
  readonly log: LogDestination;
  readonly #lock: DirectoryLock;
  readonly #logFd: number | undefined;

  private constructor(lock: DirectoryLock, log: { readonly file: string; readonly fd: number } | undefined) {
    this.#lock = lock;
    this.#logFd = log?.fd;
    this.logFile = log?.file;
    this.log = createFileDescriptorDestination(log?.fd ?? STDERR);
  }

  /**
   * Makes it, for its owner alone, and takes it for this process.
   *
   * @throws MeshError `STATE_LOCKED` when another `ait run` has it; `FILE_UNREADABLE`, `CONFIG_INVALID` when it cannot
   * be used
   */
  static async open(config: SidecarConfig, { verbose }: { readonly verbose: boolean }): Promise<RunFolder> {
    const { state_dir: stateDir } = config;
    const lock = takeFolder(stateDir);
    try {
      const { folder } = socketFolder(
        stateDir,
        config.peers.map(({ agent }) => peerName(agent)),
      );
      ownFolder(folder);
      // What an agent of before left behind, so that this one can bind it.
      if (config.app?.address === `unix:${agentSocket(folder)}`) await clearStaleSocket(agentSocket(folder));
      return new RunFolder(lock, verbose ? undefined : openLog(stateDir));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  close(): void {
    if (this.#logFd !== undefined) closeSync(this.#logFd);
    this.#lock.release();
  }
}

const STDERR = 2;

function takeFolder(stateDir: string): DirectoryLock {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    return lockDirectory(stateDir);
  } catch (cause) {
    if (isMeshError(cause, 'STATE_LOCKED')) {
      throw new MeshError('STATE_LOCKED', `this agent is being run already: ${cause.message}`, {
        hint: 'stop that one, or give this copy a folder of its own with --state',
      });
    }
    throw new MeshError('FILE_UNREADABLE', `the state directory ${stateDir} cannot be used`, {
      cause,
      hint: 'name another one with --state or state_dir',
    });
  }
}

/** One file for each run; that of the run before is kept beside it. */
function openLog(stateDir: string): { file: string; fd: number } {
  const file = join(stateDir, 'sidecar.log');
  try {
    renameSync(file, join(stateDir, 'sidecar.before.log'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return { file, fd: openSync(file, 'wx', 0o600) };
}
