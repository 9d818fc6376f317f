// Original file: proto/ait/v1/exchange.proto

/**
 * A further proof. Sent every few seconds, and at once when the measurement changed.
 */
export interface Heartbeat {
  /**
   * As in Proof, with the next sequence number.
   */
  'jws'?: (string);
}

/**
 * A further proof. Sent every few seconds, and at once when the measurement changed.
 */
export interface Heartbeat__Output {
  /**
   * As in Proof, with the next sequence number.
   */
  'jws': (string);
}
