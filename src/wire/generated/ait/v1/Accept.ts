// Original file: proto/ait/v1/exchange.proto

/**
 * "I have admitted you." The session id is not sent: both sides derive it from the two nonces.
 */
export interface Accept {
}

/**
 * "I have admitted you." The session id is not sent: both sides derive it from the two nonces.
 */
export interface Accept__Output {
}
