import type { Change } from '../../platform/store.ts';

/** What follows from a change of policy, and is stored with it in one writing: all of it or nothing. */
export interface StoredAlongside {
  readonly changes: readonly Change[];
  /**
   * Called once: `true` when everything is stored, in the same step in which it comes into force; `false` when nothing is.
   * What it brings about must wait for the end of that step.
   */
  readonly settled: (stored: boolean) => void;
}
