// Original file: proto/ait/v1/authority.proto

import type { Long } from '@grpc/proto-loader';

/**
 * One session, as one of its two sides sees it.
 */
export interface SessionSummary {
  /**
   * Hexadecimal session id.
   */
  'sessionId'?: (string);
  /**
   * SPIFFE ID of the other side.
   */
  'peer'?: (string);
  /**
   * Its instance.
   */
  'peerInstance'?: (string);
  /**
   * `dialler` or `acceptor`: the reporting side's role.
   */
  'role'?: (string);
  /**
   * Milliseconds since the epoch.
   */
  'acceptedAtMs'?: (number | string | Long);
  /**
   * Data connections open now.
   */
  'connections'?: (number);
}

/**
 * One session, as one of its two sides sees it.
 */
export interface SessionSummary__Output {
  /**
   * Hexadecimal session id.
   */
  'sessionId': (string);
  /**
   * SPIFFE ID of the other side.
   */
  'peer': (string);
  /**
   * Its instance.
   */
  'peerInstance': (string);
  /**
   * `dialler` or `acceptor`: the reporting side's role.
   */
  'role': (string);
  /**
   * Milliseconds since the epoch.
   */
  'acceptedAtMs': (number);
  /**
   * Data connections open now.
   */
  'connections': (number);
}
