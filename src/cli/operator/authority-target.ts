import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_STATE_DIR } from '../../authority/default-state-dir.ts';
import { isHostPort } from '../../domain/host-port.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { environment, type Environment } from '../../platform/environment.ts';
import { readOperatorFile, type OperatorFile } from './operator-file.ts';
import type { TargetFlags } from './target-options.ts';

/** How the authority is reached. `given`: somebody said so, rather than that it was found or supposed. */
export type AuthorityTarget = { readonly given: boolean } & (
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'network'; readonly address: string; readonly file: OperatorFile }
);

/** Where `ait operator create` writes, and every verb looks, in a folder of configuration. */
export const OPERATOR_FILE = 'operator.json';
/** Where `ait dev` keeps the authority's socket. */
const DEV_SOCKET = '.ait/state/authority/admin.sock';

/**
 * Settles it: the flag, then the variable, then an operator file at one of its usual places, then a socket.
 *
 * @throws MeshError `CONFIG_INVALID` for flags that contradict each other, `FILE_UNREADABLE` for the operator file
 */
export function resolveTarget(flags: TargetFlags, env: Environment = environment): AuthorityTarget {
  if (flags.admin !== undefined) {
    if (flags.authority !== undefined || flags.operator !== undefined) {
      throw new MeshError(
        'CONFIG_INVALID',
        '--admin is a socket on this machine: leave out --authority and --operator',
      );
    }
    return { kind: 'socket', path: flags.admin, given: true };
  }
  const named = flags.operator ?? set(env['AIT_OPERATOR']);
  const address = flags.authority ?? set(env['AIT_AUTHORITY']);
  if (address !== undefined && !isHostPort(address)) {
    throw new MeshError(
      'CONFIG_INVALID',
      `${flags.authority === undefined ? 'AIT_AUTHORITY' : '--authority'}: not host:port`,
    );
  }
  const path = named ?? usualFiles(env).find((candidate) => existsSync(candidate));
  if (path !== undefined) {
    const file = readOperatorFile(path);
    return { kind: 'network', address: address ?? file.authority, file, given: true };
  }
  if (address !== undefined) {
    throw new MeshError('CONFIG_INVALID', `to ask ${address} takes an operator file`, {
      hint: 'name one with --operator or AIT_OPERATOR; an administrator makes it with `ait operator create`',
    });
  }
  const found = existsSync(DEV_SOCKET);
  return { kind: 'socket', path: found ? DEV_SOCKET : join(DEFAULT_STATE_DIR, 'admin.sock'), given: false };
}

function usualFiles(env: Environment): readonly string[] {
  const config = set(env['XDG_CONFIG_HOME']) ?? join(set(env['HOME']) ?? homedir(), '.config');
  return [join('.ait', OPERATOR_FILE), join(config, 'ait', OPERATOR_FILE)];
}

function set(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
