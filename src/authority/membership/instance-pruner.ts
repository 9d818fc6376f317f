import { after } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Instances } from './instances.ts';

/** How often instances whose certificates have ended are forgotten, in ms. */
const PRUNE_INTERVAL_MS = 10_000;

/** Forgets, from time to time, whoever has no certificate any more. */
export function instancePruner(instances: Instances, logger: Logger): Component {
  let cancel: (() => void) | undefined;
  const arm = (): void => {
    const run = (): void => {
      instances
        .prune()
        .catch((error: unknown) => logger.error('instances_not_pruned', { error }))
        .finally(arm)
        .catch(() => undefined);
    };
    if (!stopped) cancel = after({ delayMs: PRUNE_INTERVAL_MS, keepAlive: false, run });
  };
  let stopped = false;
  return {
    name: 'instance pruner',
    start: () => Promise.resolve(arm()),
    stop: () => {
      stopped = true;
      cancel?.();
      return Promise.resolve();
    },
  };
}
