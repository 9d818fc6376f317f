// Original file: proto/ait/v1/exchange.proto

/**
 * The sender's renewed token. Must name the same subject and instance and be bound to the same certificate.
 */
export interface AitUpdate {
  /**
   * A compact JWS, at most 48 KiB.
   */
  'ait'?: (string);
}

/**
 * The sender's renewed token. Must name the same subject and instance and be bound to the same certificate.
 */
export interface AitUpdate__Output {
  /**
   * A compact JWS, at most 48 KiB.
   */
  'ait': (string);
}
