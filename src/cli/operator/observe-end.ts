import { MeshError } from '../../domain/mesh-error.ts';

/** When observing ends; `null`: now. @throws MeshError `CONFIG_INVALID` unless exactly one of the flags is there */
export function observeEnd({ until, off }: { readonly until?: string; readonly off?: true }): string | null {
  if ((until === undefined) === (off === undefined)) {
    throw new MeshError('CONFIG_INVALID', 'say either --until <time> or --off');
  }
  return until ?? null;
}
