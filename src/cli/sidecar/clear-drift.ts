import { MeshError } from '../../domain/mesh-error.ts';
import type { CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { askAdmin } from '../mesh-runner/admin-client.ts';
import { adminSocketOf, type SidecarTarget } from './sidecar-target.ts';

export interface ClearDriftFlags extends SidecarTarget {
  readonly json?: true;
}

/**
 * Has a sidecar forget the drift that calls showed: of its agent to the model, and of peers that list other tools. The next
 * call that differs brings it back.
 *
 * @throws MeshError `CONFIG_INVALID` for flags that make no sense; `ADMIN_REFUSED` when it says no
 */
export async function clearDrift(flags: ClearDriftFlags, output: CommandOutput): Promise<void> {
  const socket = await adminSocketOf(flags);
  let outcome: Awaited<ReturnType<typeof askAdmin>>;
  try {
    outcome = await askAdmin(socket, { method: 'POST', path: '/in-use/clear' });
  } catch (error) {
    output.exitCode(EXIT.unreachable);
    if (flags.json === true) output.print(JSON.stringify({ cleared: false }));
    else output.error(`no sidecar answered at ${socket}: ${(error as Error).message}`);
    return;
  }
  const { status, answer } = outcome;
  if (status !== 200) {
    throw new MeshError('ADMIN_REFUSED', `${socket} answered ${status}: ${answer.trim().slice(0, 200)}`);
  }
  const { cleared } = JSON.parse(answer) as { readonly cleared: boolean };
  if (flags.json === true) output.print(JSON.stringify({ cleared }));
  else
    output.print(
      cleared ? 'drift in use stands no more; a call that differs brings it back' : 'there was no drift in use',
    );
}
