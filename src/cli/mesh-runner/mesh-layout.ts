import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { MeshError } from '../../domain/mesh-error.ts';

/** The kernel's limit for the path of a unix socket, in bytes, less the NUL. */
export const MAX_SOCKET_PATH = 107;

/** Where everything of one mesh lies. All paths are absolute. */
export interface MeshLayout {
  readonly root: string;
  /** The files that people edit: what the agents are made of, and what is approved. */
  readonly agents: string;
  readonly policy: string;
  /** Written by us at each start. */
  readonly config: string;
  readonly logs: string;
  /** Unix sockets. Elsewhere, with a link at its usual place, where the usual place has too long a path. */
  readonly run: string;
  /** Whether {@link run} is elsewhere. */
  readonly runMoved: boolean;
  stateOf(process: 'authority' | 'inference' | { readonly sidecar: string }): string;
  /** A unix socket as an address. */
  socket(agent: string, name: string): string;
  adminSocket(agent: string): string;
}

/**
 * Makes the folders, readable to their owner alone, and settles where sockets go.
 *
 * @param longestName of an agent: it stands in the path of sockets.
 * @throws MeshError `CONFIG_INVALID` when no path is short enough.
 */
export function prepareLayout(root: string, agentNames: readonly string[]): MeshLayout {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  for (const folder of [
    'agents',
    'mesh/agents',
    'mesh/baselines',
    'mesh/grants',
    'mesh/inference',
    'config',
    'logs',
    'state',
    'inference',
  ]) {
    mkdirSync(join(root, folder), { recursive: true, mode: 0o700 });
  }
  const { run, moved } = prepareRunFolder(root, agentNames);
  for (const name of agentNames) mkdirSync(join(run, fileName(name)), { recursive: true, mode: 0o700 });
  return {
    root,
    agents: join(root, 'agents'),
    policy: join(root, 'mesh'),
    config: join(root, 'config'),
    logs: join(root, 'logs'),
    run,
    runMoved: moved,
    stateOf: (process) => {
      if (process === 'authority') return authorityState(root, moved ? run : undefined);
      // Not below `state`, where an agent may have its name.
      return process === 'inference' ? join(root, 'inference') : join(root, 'state', fileName(process.sidecar));
    },
    socket: (agent, name) => `unix:${join(run, fileName(agent), `${fileName(name)}.sock`)}`,
    adminSocket: (agent) => join(run, fileName(agent), 'admin.sock'),
  };
}

/** An agent's name may be a path (`team/planner`); a file's may not. */
export function fileName(name: string): string {
  return name.replaceAll('/', '.');
}

function prepareRunFolder(root: string, agentNames: readonly string[]): { run: string; moved: boolean } {
  const usual = join(root, 'run');
  const names = agentNames.map(fileName);
  const longest = Math.max(0, ...names.map((name) => name.length));
  const tail = longest === 0 ? 0 : 2 * longest + '//to-.sock'.length;
  const fits = (folder: string): boolean => Buffer.byteLength(folder) + tail <= MAX_SOCKET_PATH;
  const isLink = lstatSync(usual, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (fits(usual) && fits(join(root, 'state/authority'))) {
    if (isLink) rmSync(usual);
    mkdirSync(usual, { recursive: true, mode: 0o700 });
    return { run: usual, moved: false };
  }
  const run = shortFolder(root);
  if (!fits(run)) {
    throw new MeshError('CONFIG_INVALID', `neither ${usual} nor ${run} is short enough for unix sockets`, {
      hint: `choose a shorter --state, or set TMPDIR; a socket's path has at most ${MAX_SOCKET_PATH} bytes`,
    });
  }
  ownFolder(run);
  rmSync(usual, { recursive: true, force: true });
  symlinkSync(run, usual);
  return { run, moved: true };
}

/** Where sockets go whose usual place, below `root`, has too long a path. Make it with {@link ownFolder}. */
export function shortFolder(root: string): string {
  const short = createHash('sha256').update(root).digest('hex').slice(0, 10);
  return join(tmpdir(), `ait-${userInfo().uid}-${short}`);
}

/**
 * Makes a folder that nobody else may enter. One below a shared folder may have been put there by somebody else.
 *
 * @throws MeshError `CONFIG_INVALID`
 */
export function ownFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stats = lstatSync(folder);
  if (!stats.isDirectory() || stats.uid !== userInfo().uid) {
    throw new MeshError('CONFIG_INVALID', `${folder} is not a folder of this user`, { hint: 'remove it' });
  }
  chmodSync(folder, 0o700);
}

/** The authority keeps its admin socket in its state: a link with a short name stands for a long path. */
function authorityState(root: string, shortFolder: string | undefined): string {
  const folder = join(root, 'state/authority');
  if (shortFolder === undefined) return folder;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const link = join(shortFolder, 'authority');
  rmSync(link, { force: true });
  symlinkSync(folder, link);
  return link;
}
