import { REJECTIONS, driftDimension, type Rejection } from '../domain/rejection.ts';
import type { CloseReason } from './sidecar-metrics.ts';

/** The coarse class under which `connections_closed_total` counts an end. */
export function closeReasonOf(cause: Rejection | undefined): CloseReason {
  if (cause === undefined) return 'finished';
  if (driftDimension(cause.code) !== undefined) return 'drift';
  switch (cause.code) {
    case 'REVOKED':
    case 'TRUST_WITHDRAWN':
      return 'revoked';
    case 'AIT_EXPIRED':
    case 'AIT_STALE':
    case 'CERTIFICATE_EXPIRED':
    case 'STATE_STALE':
      return 'expired';
    case 'PEER_DRAINING':
    case 'IDLE':
      return 'drain';
    case 'PEER_ENDED':
    case 'PEER_LOST':
      return 'peer';
    default:
      return REJECTIONS[cause.code].phase === 'admission' ? 'policy' : 'error';
  }
}
