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

/** No other instance of the peer would change it. */
const SAME_FOR_ALL: ReadonlySet<RejectionCode> = new Set(['STATE_MISSING', 'STATE_STALE', 'GRANT_MISSING']);

/** Whether other instances would answer the same, or nobody need be asked. */
export function isSameForAll({ code, self }: Rejection): boolean {
  return self === true || SAME_FOR_ALL.has(code);
}
