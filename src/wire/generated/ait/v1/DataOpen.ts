// Original file: proto/ait/v1/data.proto

/**
 * Names the session that a data connection belongs to.
 */
export interface DataOpen {
  /**
   * 16 bytes: the first half of SHA-256 over "ait-session-1", the dialler's nonce and the acceptor's nonce.
   */
  'sessionId'?: (Buffer | Uint8Array | string);
  /**
   * The instance that is meant to answer.
   */
  'instanceId'?: (string);
  /**
   * For the log lines of both sides; 1 to 64 characters of [A-Za-z0-9_-].
   */
  'correlationId'?: (string);
}

/**
 * Names the session that a data connection belongs to.
 */
export interface DataOpen__Output {
  /**
   * 16 bytes: the first half of SHA-256 over "ait-session-1", the dialler's nonce and the acceptor's nonce.
   */
  'sessionId': (Buffer);
  /**
   * The instance that is meant to answer.
   */
  'instanceId': (string);
  /**
   * For the log lines of both sides; 1 to 64 characters of [A-Za-z0-9_-].
   */
  'correlationId': (string);
}
