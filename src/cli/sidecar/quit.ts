import { MeshError } from '../../domain/mesh-error.ts';
import type { CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { askAdmin } from '../mesh-runner/admin-client.ts';
import { adminSocketOf, type SidecarTarget } from './sidecar-target.ts';

export interface QuitFlags extends SidecarTarget {
  readonly json?: true;
}

/**
 * Has a sidecar end in good order; returns as soon as it has been told.
 *
 * @throws MeshError `CONFIG_INVALID` for flags that make no sense; `ADMIN_REFUSED` when it says no
 */
export async function quit(flags: QuitFlags, output: CommandOutput): Promise<void> {
  const socket = await adminSocketOf(flags);
  let outcome: Awaited<ReturnType<typeof askAdmin>>;
  try {
    outcome = await askAdmin(socket, { method: 'POST', path: '/quit' });
  } catch (error) {
    output.exitCode(EXIT.unreachable);
    if (flags.json === true) output.print(JSON.stringify({ quitting: false }));
    else output.error(`no sidecar answered at ${socket}: ${(error as Error).message}`);
    return;
  }
  const { status, answer } = outcome;
  if (status !== 202)
    throw new MeshError('ADMIN_REFUSED', `${socket} answered ${status}: ${answer.trim().slice(0, 200)}`);
  output.print(flags.json === true ? JSON.stringify({ quitting: true }) : 'it finishes what is open, then ends');
}
