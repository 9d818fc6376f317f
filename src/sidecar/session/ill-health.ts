import type { Rejection, RejectionCode } from '../../domain/rejection.ts';

const ILL_HEALTH: ReadonlySet<RejectionCode> = new Set([
  'PEER_UNREACHABLE',
  'TLS_HANDSHAKE_FAILED',
  'TLS_HANDSHAKE_TIMEOUT',
  'EXCHANGE_TIMEOUT',
  'DATA_PREFACE_INVALID',
  'PEER_LOST',
]);

/**
 * Whether a refusal says that an instance is not well, so that another may be. Drift, revocation, a missing grant and
 * whatever else admission finds say nothing of the kind: they end sessions, and are never a reason to look elsewhere.
 */
export function isIllHealth({ code, self, peerSaid }: Rejection): boolean {
  return self !== true && (ILL_HEALTH.has(code) || peerSaid?.reason === 'UNAVAILABLE');
}
