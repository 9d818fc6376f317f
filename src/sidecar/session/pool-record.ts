import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Logger } from '../../platform/logger.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import type { PoolEvents } from './session-pool.ts';

export interface PoolRecordOptions {
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  /** How a peer is named in labels. */
  readonly labelOf: (peer: SpiffeId) => string;
}

/** Writes down and counts what a pool finds out about the instances of peers. */
export function poolRecord({ logger, metrics, labelOf }: PoolRecordOptions): PoolEvents {
  return {
    ejected: (peer, { forMs, ...facts }) => {
      metrics.instanceEjections.add({ peer: labelOf(peer) });
      logger.warn('instance_ejected', { peer, forMs: Math.round(forMs), ...facts });
    },
    returned: (peer, address) => logger.info('instance_returned', { peer, address }),
    circuit: (peer, { isOpen, cause }) => {
      metrics.circuitOpen.set({ peer: labelOf(peer) }, Number(isOpen));
      if (isOpen) logger.warn('circuit_opened', { peer, ...cause });
      else logger.info('circuit_closed', { peer });
    },
  };
}
