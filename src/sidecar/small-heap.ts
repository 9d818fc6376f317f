import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/**
 * Up to so many bytes the young generation may grow under load, both halves together. Each call leaves some garbage: in a
 * young generation of the size it begins with, a third of a busy sidecar's time goes into collecting it, in this a tenth.
 */
const YOUNG_BYTES = 8 * 1024 * 1024;

/**
 * Has V8 prefer a small heap, before much of it is in use: a sidecar stands beside every agent, lives long, and its
 * work is short-lived objects of a few connections. The young generation grows under load, but not to the 32 MB that V8
 * would let it have, and garbage is collected rather than room made. Both may be set while running;
 * `--max-semi-space-size` and `--max-old-space-size`, which may not, are for the command line of whoever wants a hard limit.
 */
export function preferSmallHeap(): void {
  setFlagsFromString('--optimize-for-size');
  let grows: boolean | undefined;
  const adapt = () => {
    const mayGrow = youngBytes() < YOUNG_BYTES;
    if (mayGrow === grows) return;
    grows = mayGrow;
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
  };
  adapt();
  new PerformanceObserver(adapt).observe({ entryTypes: ['gc'] });
}

/** What V8 has for new objects at the moment. */
function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? Infinity;
}
