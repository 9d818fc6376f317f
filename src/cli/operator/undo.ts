import { MeshError } from '../../domain/mesh-error.ts';
import type { CommandOutput } from '../command-output.ts';
import type { ChangeFlags } from './change-flags.ts';
import { changePolicy } from './change-policy.ts';

/** Goes back to an earlier revision. @throws MeshError `CONFIG_INVALID` */
export async function undo(flags: ChangeFlags & { readonly to?: string }, output: CommandOutput): Promise<void> {
  const { to } = flags;
  if (to !== undefined && !/^\d{1,15}$/.test(to)) {
    throw new MeshError('CONFIG_INVALID', `--to ${to}: not the number of a revision`);
  }
  const body = to === undefined ? {} : { to_revision: Number(to) };
  const typed = to === undefined ? ['undo'] : ['undo', '--to', to];
  await changePolicy({ path: '/policy/undo', body, typed }, flags, output);
}
