import { readCallPattern } from '../../domain/calls/call-pattern.ts';
import { MeshError } from '../../domain/mesh-error.ts';

/**
 * The values of `--call`, each a pattern. Looked at here as well as by the authority, which would name a place in a
 * request that nobody typed.
 *
 * @throws MeshError `CONFIG_INVALID`
 */
export function readCallFlags(values: readonly string[]): readonly string[] {
  for (const [index, value] of values.entries()) {
    const reading = readCallPattern(value);
    if (!reading.ok) throw new MeshError('CONFIG_INVALID', `--call ${JSON.stringify(value)}: ${reading.problem}`);
    if (values.indexOf(value) !== index)
      throw new MeshError('CONFIG_INVALID', `--call ${JSON.stringify(value)}: twice`);
  }
  return values;
}
