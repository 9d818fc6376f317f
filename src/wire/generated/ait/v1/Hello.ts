// Original file: proto/ait/v1/exchange.proto

import type { Continuation as _ait_v1_Continuation, Continuation__Output as _ait_v1_Continuation__Output } from '../../ait/v1/Continuation.ts';

/**
 * Opens the conversation of one direction.
 */
export interface Hello {
  /**
   * The dialler lists every protocol version it speaks, best first, 1 to 16 of them; the acceptor answers with the one
   * it chose. A dialler that gets a version it did not offer gives up. This file describes version 1.
   */
  'versions'?: (number)[];
  /**
   * The sender's Agent Identity Token, a compact JWS, at most 48 KiB.
   */
  'ait'?: (string);
  /**
   * 32 random bytes, fresh for this connection.
   */
  'nonce'?: (Buffer | Uint8Array | string);
  /**
   * The sender's instance id, as in its token.
   */
  'instanceId'?: (string);
  /**
   * `host:port` at which this very instance accepts data connections; empty where the sender accepts none.
   */
  'dataAddress'?: (string);
  /**
   * Chosen by the dialler, repeated by the acceptor, written by both into every log line of this session; 1 to 64
   * characters of [A-Za-z0-9_-].
   */
  'correlationId'?: (string);
  /**
   * Set where this connection continues a live session; the acceptor repeats it with its own voucher.
   */
  'continuation'?: (_ait_v1_Continuation | null);
}

/**
 * Opens the conversation of one direction.
 */
export interface Hello__Output {
  /**
   * The dialler lists every protocol version it speaks, best first, 1 to 16 of them; the acceptor answers with the one
   * it chose. A dialler that gets a version it did not offer gives up. This file describes version 1.
   */
  'versions': (number)[];
  /**
   * The sender's Agent Identity Token, a compact JWS, at most 48 KiB.
   */
  'ait': (string);
  /**
   * 32 random bytes, fresh for this connection.
   */
  'nonce': (Buffer);
  /**
   * The sender's instance id, as in its token.
   */
  'instanceId': (string);
  /**
   * `host:port` at which this very instance accepts data connections; empty where the sender accepts none.
   */
  'dataAddress': (string);
  /**
   * Chosen by the dialler, repeated by the acceptor, written by both into every log line of this session; 1 to 64
   * characters of [A-Za-z0-9_-].
   */
  'correlationId': (string);
  /**
   * Set where this connection continues a live session; the acceptor repeats it with its own voucher.
   */
  'continuation': (_ait_v1_Continuation__Output | null);
}
