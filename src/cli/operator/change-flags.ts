import type { Command } from 'commander';
import { addTargetOptions, type TargetFlags } from './target-options.ts';

/** The flags of every verb that changes the policy. */
export interface ChangeFlags extends TargetFlags {
  readonly acceptImpact?: string;
  readonly baseRevision?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

/** What the help of every such verb ends with. */
export const CHANGE_EXIT_CODES =
  'Exit codes: 0 done, 1 failed, 2 usage error, 4 refused, 5 the authority does not answer.';

/** Adds the flags of {@link ChangeFlags} to a verb. */
export function addChangeOptions(command: Command): Command {
  return addTargetOptions(command)
    .option('--accept-impact <sessions>', 'go on although so many sessions end')
    .option('--base-revision <revision>', 'only if this is still the policy in force, as `ait policy show` has it')
    .option('--dry-run', 'only say what would happen')
    .option('--json', 'print one line of JSON');
}
