// Original file: proto/ait/v1/exchange.proto

/**
 * See ExchangeResponse.reconnect.
 */
export interface Reconnect {
}

/**
 * See ExchangeResponse.reconnect.
 */
export interface Reconnect__Output {
}
