// Original file: proto/ait/v1/types.proto

/**
 * The coarse reason a peer is told when it is refused or cut off. On purpose it says less than the operator of the
 * refusing side learns: no digest, no rule, no name. Pair it with the correlation id to find the full story there.
 */
export const WireReason = {
  /**
   * Never sent; a receiver treats it as WIRE_REASON_PROTOCOL.
   */
  WIRE_REASON_UNSPECIFIED: 'WIRE_REASON_UNSPECIFIED',
  /**
   * Certificate, token or their binding to each other was not acceptable.
   */
  WIRE_REASON_IDENTITY: 'WIRE_REASON_IDENTITY',
  /**
   * The proof of possession was not acceptable.
   */
  WIRE_REASON_PROOF: 'WIRE_REASON_PROOF',
  /**
   * The measurement equals no approved baseline.
   */
  WIRE_REASON_DRIFT: 'WIRE_REASON_DRIFT',
  /**
   * Identity is fine, the connection is not permitted.
   */
  WIRE_REASON_NOT_PERMITTED: 'WIRE_REASON_NOT_PERMITTED',
  /**
   * The agent, instance or certificate has been revoked.
   */
  WIRE_REASON_REVOKED: 'WIRE_REASON_REVOKED',
  /**
   * Certificate or token is past its time.
   */
  WIRE_REASON_EXPIRED: 'WIRE_REASON_EXPIRED',
  /**
   * The sender cannot judge or serve at the moment.
   */
  WIRE_REASON_UNAVAILABLE: 'WIRE_REASON_UNAVAILABLE',
  /**
   * The conversation broke the protocol.
   */
  WIRE_REASON_PROTOCOL: 'WIRE_REASON_PROTOCOL',
  /**
   * A data connection reached another instance than the session's.
   */
  WIRE_REASON_WRONG_INSTANCE: 'WIRE_REASON_WRONG_INSTANCE',
  /**
   * The sender is going away in good order; connect again, here or elsewhere.
   */
  WIRE_REASON_DRAINING: 'WIRE_REASON_DRAINING',
} as const;

/**
 * The coarse reason a peer is told when it is refused or cut off. On purpose it says less than the operator of the
 * refusing side learns: no digest, no rule, no name. Pair it with the correlation id to find the full story there.
 */
export type WireReason =
  /**
   * Never sent; a receiver treats it as WIRE_REASON_PROTOCOL.
   */
  | 'WIRE_REASON_UNSPECIFIED'
  | 0
  /**
   * Certificate, token or their binding to each other was not acceptable.
   */
  | 'WIRE_REASON_IDENTITY'
  | 1
  /**
   * The proof of possession was not acceptable.
   */
  | 'WIRE_REASON_PROOF'
  | 2
  /**
   * The measurement equals no approved baseline.
   */
  | 'WIRE_REASON_DRIFT'
  | 3
  /**
   * Identity is fine, the connection is not permitted.
   */
  | 'WIRE_REASON_NOT_PERMITTED'
  | 4
  /**
   * The agent, instance or certificate has been revoked.
   */
  | 'WIRE_REASON_REVOKED'
  | 5
  /**
   * Certificate or token is past its time.
   */
  | 'WIRE_REASON_EXPIRED'
  | 6
  /**
   * The sender cannot judge or serve at the moment.
   */
  | 'WIRE_REASON_UNAVAILABLE'
  | 7
  /**
   * The conversation broke the protocol.
   */
  | 'WIRE_REASON_PROTOCOL'
  | 8
  /**
   * A data connection reached another instance than the session's.
   */
  | 'WIRE_REASON_WRONG_INSTANCE'
  | 9
  /**
   * The sender is going away in good order; connect again, here or elsewhere.
   */
  | 'WIRE_REASON_DRAINING'
  | 10

/**
 * The coarse reason a peer is told when it is refused or cut off. On purpose it says less than the operator of the
 * refusing side learns: no digest, no rule, no name. Pair it with the correlation id to find the full story there.
 */
export type WireReason__Output = typeof WireReason[keyof typeof WireReason]
