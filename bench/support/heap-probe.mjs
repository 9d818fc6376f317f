/**
 * To be imported before a process's own program: on SIGUSR2 collects all garbage and prints `heap_probe` with what is
 * left. Plain JavaScript, because a loader for anything else would be half of what is measured.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Some objects go only when what holds them has been finalised: so many rounds, with a turn of the event loop between. */
const ROUNDS = 3;
const PAUSE_MS = 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

process.on('SIGUSR2', () => void probe());

async function probe() {
  for (let round = 0; round < ROUNDS; round += 1) {
    collect();
    await delay(PAUSE_MS);
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  console.log(JSON.stringify({ event: 'heap_probe', heapUsed, external, rss }));
}
