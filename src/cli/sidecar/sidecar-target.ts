import { dirname, join, resolve } from 'node:path';
import { MeshError } from '../../domain/mesh-error.ts';

/** Which sidecar is meant, as the flags say. */
export interface SidecarTarget {
  /** Path of its admin socket; goes before the configuration. */
  readonly admin?: string;
  /** Its configuration file. Default `sidecar.yaml`. */
  readonly config?: string;
}

/**
 * The admin socket that is meant. Of a configuration only this is looked at: whether the rest is in order is the
 * sidecar's business.
 *
 * @throws MeshError `CONFIG_INVALID` for a file that does not say
 */
export async function adminSocketOf({ admin, config = 'sidecar.yaml' }: SidecarTarget): Promise<string> {
  if (admin !== undefined) return resolve(admin);
  const [{ readConfigFile }, { environment }, { SIDECAR_ENV_PREFIX }, { isRecord }] = await Promise.all([
    import('../../platform/config-file.ts'),
    import('../../platform/environment.ts'),
    import('../../sidecar/config.ts'),
    import('../../platform/config-schema.ts'),
  ]);
  const file = resolve(config);
  const { value, problems } = readConfigFile(file);
  const hint = 'name the socket with --admin, or the configuration with --config';
  const [problem] = problems;
  if (problem !== undefined) throw new MeshError('CONFIG_INVALID', `${problem.source}: ${problem.message}`, { hint });
  const section = value['admin'];
  const socket =
    environment[`${SIDECAR_ENV_PREFIX}ADMIN__SOCKET`] ?? (isRecord(section) ? section['socket'] : undefined);
  if (typeof socket === 'string') return resolve(dirname(file), socket);
  const stateDir = environment[`${SIDECAR_ENV_PREFIX}STATE_DIR`] ?? value['state_dir'];
  if (typeof stateDir === 'string') return join(resolve(dirname(file), stateDir), 'admin.sock');
  throw new MeshError('CONFIG_INVALID', `${file} says neither admin.socket nor state_dir`, { hint });
}
