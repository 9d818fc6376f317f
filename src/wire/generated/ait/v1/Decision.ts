// Original file: proto/ait/v1/authority.proto

import type { Long } from '@grpc/proto-loader';

/**
 * One decision about one peer.
 */
export interface Decision {
  /**
   * Milliseconds since the epoch.
   */
  'atMs'?: (number | string | Long);
  /**
   * Shared by both sides.
   */
  'correlationId'?: (string);
  /**
   * SPIFFE ID of the other side as far as it was proven; else empty.
   */
  'peer'?: (string);
  /**
   * `admitted`, `denied` (never admitted) or `terminated` (was live).
   */
  'outcome'?: (string);
  /**
   * Rejection code of the reference page; empty for `admitted`.
   */
  'code'?: (string);
  /**
   * One line for the operator.
   */
  'detail'?: (string);
  /**
   * `dialler` or `acceptor`: the reporting side's role.
   */
  'role'?: (string);
}

/**
 * One decision about one peer.
 */
export interface Decision__Output {
  /**
   * Milliseconds since the epoch.
   */
  'atMs': (number);
  /**
   * Shared by both sides.
   */
  'correlationId': (string);
  /**
   * SPIFFE ID of the other side as far as it was proven; else empty.
   */
  'peer': (string);
  /**
   * `admitted`, `denied` (never admitted) or `terminated` (was live).
   */
  'outcome': (string);
  /**
   * Rejection code of the reference page; empty for `admitted`.
   */
  'code': (string);
  /**
   * One line for the operator.
   */
  'detail': (string);
  /**
   * `dialler` or `acceptor`: the reporting side's role.
   */
  'role': (string);
}
