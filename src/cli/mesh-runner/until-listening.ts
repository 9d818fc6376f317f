import { connect } from 'node:net';
import { after } from '../../platform/clock.ts';
import { parseLocalAddress } from '../../sidecar/local-address.ts';

const LOOK_AGAIN_MS = 25;

/** Resolves when somebody takes connections at a local address, at the latest after `withinMs`. */
export function untilListening(address: string | undefined, withinMs: number): Promise<void> {
  if (address === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    let over = false;
    const cancel = after({ delayMs: withinMs, run: () => finish() });
    const finish = (): void => {
      over = true;
      cancel();
      resolve();
    };
    const look = (): void => {
      if (over) return;
      const probe = connect(parseLocalAddress(address));
      probe.once('connect', () => {
        probe.destroy();
        finish();
      });
      probe.once('error', () => after({ delayMs: LOOK_AGAIN_MS, run: look }));
    };
    look();
  });
}
