import type { Command } from 'commander';
import { DEFAULT_STATE_DIR } from '../../authority/default-state-dir.ts';

/** How a verb reaches the authority, as its flags say; every operator's verb has the same. */
export interface TargetFlags {
  /** Path of the authority's admin socket, on its own machine. */
  readonly admin?: string;
}

/** Adds the flags of {@link TargetFlags} to a verb. */
export function addTargetOptions(command: Command): Command {
  return command.option('--admin <socket>', `the authority's admin socket (default ${DEFAULT_STATE_DIR}/admin.sock)`);
}
