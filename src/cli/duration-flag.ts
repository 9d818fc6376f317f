import { parseDuration } from '../domain/duration.ts';
import { isMeshError, MeshError } from '../domain/mesh-error.ts';

/**
 * Reads a duration from the command line.
 *
 * @param flag its name, for the message: `--timeout`
 * @returns milliseconds
 * @throws MeshError `CONFIG_INVALID`
 */
export function parseDurationFlag(flag: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    if (!isMeshError(error)) throw error;
    throw new MeshError('CONFIG_INVALID', `${flag} ${text}: ${error.message}`, { cause: error });
  }
}
