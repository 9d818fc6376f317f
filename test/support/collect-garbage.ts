import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// Contexts made from now on have `gc`; the process needs no flag on its command line.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Some objects go only when what they wait for, or what they hold, has gone: so many rounds. */
const ROUNDS = 5;

/** Collects everything that nobody holds. What a `WeakRef` was asked for in this turn of the event loop lives until its end. */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    await nextTurn();
    collect();
  }
}
