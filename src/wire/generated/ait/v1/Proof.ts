// Original file: proto/ait/v1/exchange.proto

/**
 * Proof of possession and of what is measured now.
 */
export interface Proof {
  /**
   * A compact JWS of type `ait-proof+jwt`, signed by the key of the sender's SVID, at most 48 KiB.
   */
  'jws'?: (string);
}

/**
 * Proof of possession and of what is measured now.
 */
export interface Proof__Output {
  /**
   * A compact JWS of type `ait-proof+jwt`, signed by the key of the sender's SVID, at most 48 KiB.
   */
  'jws': (string);
}
