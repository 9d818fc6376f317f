import type { Command } from 'commander';
import { DEFAULT_STATE_DIR } from '../../authority/default-state-dir.ts';

/** How a verb reaches the authority, as its flags say; every operator's verb has the same. */
export interface TargetFlags {
  /** Path of the authority's admin socket, on its own machine. */
  readonly admin?: string;
  /** `host:port` of the operators' port, instead of the one in the operator file. */
  readonly authority?: string;
  /** Path of an operator file. */
  readonly operator?: string;
}

/** Adds the flags of {@link TargetFlags} to a verb. */
export function addTargetOptions(command: Command): Command {
  return addRemoteOptions(
    command.option(
      '--admin <socket>',
      `the authority's admin socket (default: none, if there is an operator file; else ${DEFAULT_STATE_DIR}/admin.sock)`,
    ),
  );
}

/** The flags of {@link TargetFlags} without `--admin`, for a verb in which that is something else. */
export function addRemoteOptions(command: Command): Command {
  return command
    .option(
      '--authority <host:port>',
      "the authority's port for operators (default: AIT_AUTHORITY, else as in the file)",
    )
    .option(
      '--operator <file>',
      'what `ait operator create` wrote (default: AIT_OPERATOR, else ./.ait/operator.json, ~/.config/ait/operator.json)',
    );
}
