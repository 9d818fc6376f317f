import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 prefer a small heap, before much of it is in use: a sidecar stands beside every agent, lives long, and its
 * work is short-lived objects of a few connections. The young generation stays as small as it began instead of growing
 * to 16 MB, and garbage is collected rather than room made. Both may be set while running; `--max-semi-space-size` and
 * `--max-old-space-size`, which may not, are for the command line of whoever wants a hard limit.
 */
export function preferSmallHeap(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--optimize-for-size');
}
