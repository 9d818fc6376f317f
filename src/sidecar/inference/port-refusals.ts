import type { Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import type { DecisionLog } from '../decision-log.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';

export interface PortRefusalsDeps {
  readonly clock: Clock;
  readonly metrics: SidecarMetrics;
  readonly decisions: DecisionLog;
  readonly newCorrelationId: () => string;
  /** Where the port is, for the log. */
  readonly listen: () => string;
}

/** Whoever can open the port can be refused as often as they like: it must not fill the disk, nor what `explain` can see. */
const WRITTEN = { burst: 100, perSecond: 2 } as const;

/** Connections to the inference port that never became a request. All are counted, as many are on record as is good. */
export class PortRefusals {
  readonly #deps: PortRefusalsDeps;
  readonly #written: RateLimit;

  constructor(deps: PortRefusalsDeps) {
    this.#deps = deps;
    this.#written = new RateLimit({ ...WRITTEN, clock: deps.clock });
  }

  /** @returns the correlation id under which it is on record */
  record(cause: Rejection): string {
    const { metrics, decisions, newCorrelationId, listen } = this.#deps;
    const correlationId = newCorrelationId();
    const direction = 'outbound';
    if (this.#written.take()) {
      decisions.refused({ correlationId, subject: '', direction, remoteAddress: listen(), cause });
    } else metrics.connectionsRefused.add({ direction, reason: cause.code });
    return correlationId;
  }
}
