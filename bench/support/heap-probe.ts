/**
 * To be imported before a process's own program: on SIGUSR2 collects all garbage and prints `heap_probe` with what is
 * left. The flag that makes it possible changes nothing else.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Some objects go only when what holds them has been finalised: so many rounds, with a turn of the event loop between. */
const ROUNDS = 3;
const PAUSE_MS = 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

process.on('SIGUSR2', () => void probe());

async function probe(): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    collect();
    await delay(PAUSE_MS);
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  console.log(JSON.stringify({ event: 'heap_probe', heapUsed, external, rss }));
}
