// Original file: proto/ait/v1/exchange.proto

/**
 * Asks that a live session goes on over this connection: after a rotation of either side's certificate. The whole
 * exchange runs as for a new session; then the connection takes the place of the session's control connection, and data
 * connections that are open stay open.
 */
export interface Continuation {
  /**
   * The session's id, 16 bytes.
   */
  'sessionId'?: (Buffer | Uint8Array | string);
  /**
   * A compact JWS of type `ait-voucher+jwt`, signed by the key of the certificate that the sender last showed in this
   * session: that key vouches for the certificate of this connection. Empty where it is the same certificate.
   */
  'voucher'?: (string);
}

/**
 * Asks that a live session goes on over this connection: after a rotation of either side's certificate. The whole
 * exchange runs as for a new session; then the connection takes the place of the session's control connection, and data
 * connections that are open stay open.
 */
export interface Continuation__Output {
  /**
   * The session's id, 16 bytes.
   */
  'sessionId': (Buffer);
  /**
   * A compact JWS of type `ait-voucher+jwt`, signed by the key of the certificate that the sender last showed in this
   * session: that key vouches for the certificate of this connection. Empty where it is the same certificate.
   */
  'voucher': (string);
}
