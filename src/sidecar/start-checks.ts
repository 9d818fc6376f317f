import { mkdir, stat } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { MeshError } from '../domain/mesh-error.ts';
import type { Logger } from '../platform/logger.ts';
import type { SidecarConfig } from './config.ts';
import { splitAddress } from '../membership/secure-outbound.ts';

/**
 * Makes the directory of the last good state, mode 0700. A sidecar whose admin socket lies elsewhere does without it,
 * loudly: after a restart it asks the authority for everything, and cannot tell an older state from a newer.
 *
 * @throws MeshError `FILE_UNREADABLE`
 */
export async function makeStateDir(path: string, config: SidecarConfig, logger: Logger): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const hint = "make it a directory of the sidecar's user on a disk with space, or name another one (state_dir)";
    if (config.admin.socket === undefined) {
      const message = `the state directory ${path} cannot be used: ${(cause as Error).message}`;
      throw new MeshError('FILE_UNREADABLE', message, { cause, hint });
    }
    logger.warn('state_dir_unusable', { path, error: cause, action: hint });
  }
}

const OTHERS = 0o077;

/**
 * An AIT is as strong as the separation between sidecar and agent. What weakens it is said once, loudly, at start; it
 * does not stop the sidecar, because only the platform engineer knows what else separates the two.
 */
export async function warnOfWeakSeparation(config: SidecarConfig, folder: string, logger: Logger): Promise<void> {
  const { join_credential: credential } = config.authority;
  // A ServiceAccount token is kept from the agent by where it is mounted; the kubelet's mode of it says nothing.
  if (credential !== undefined) await warnOfExposure(resolve(folder, credential), logger);
  const uid = process.getuid?.();
  if (config.measure.agent_uid !== undefined && config.measure.agent_uid === uid) {
    logger.warn('agent_shares_user', {
      uid,
      action: 'the agent can read the join credential and write what is measured: run the sidecar as a user of its own',
    });
  } else if (config.measure.agent_uid === undefined) {
    logger.warn('agent_user_unknown', {
      action: 'set measure.agent_uid so that the sidecar can tell whether the agent is kept away from its files',
    });
  }
}

async function warnOfExposure(path: string, logger: Logger): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & OTHERS) === 0) return;
  logger.warn('join_credential_exposed', {
    path,
    mode: `0${(mode & 0o777).toString(8)}`,
    action: 'an agent that can read it can claim to be itself with any prompt: chmod 0600, owned by the sidecar alone',
  });
}

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** The bound address, or for a wildcard the same port at this machine's first address that others can reach. */
export function reachableAddress(bound: string): string {
  const { host, port } = splitAddress(bound);
  if (!WILDCARDS.has(host)) return bound;
  const reachable = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  return `${reachable?.address ?? '127.0.0.1'}:${port}`;
}
