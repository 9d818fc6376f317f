// Original file: proto/ait/v1/exchange.proto

/**
 * A further proof. Sent every few seconds, and at once when the measurement changed.
 */
export interface Heartbeat {
  /**
   * As in Proof, with the next sequence number.
   */
  'jws'?: (string);
  /**
   * The sender is going away in good order. The session goes on until Goodbye, and so does what is open in it; the
   * receiver opens new data connections elsewhere where it can, and where it cannot, may still open them here.
   */
  'draining'?: (boolean);
}

/**
 * A further proof. Sent every few seconds, and at once when the measurement changed.
 */
export interface Heartbeat__Output {
  /**
   * As in Proof, with the next sequence number.
   */
  'jws': (string);
  /**
   * The sender is going away in good order. The session goes on until Goodbye, and so does what is open in it; the
   * receiver opens new data connections elsewhere where it can, and where it cannot, may still open them here.
   */
  'draining': (boolean);
}
