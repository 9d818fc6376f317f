// Original file: proto/ait/v1/authority.proto

import type { Long } from '@grpc/proto-loader';

/**
 * What the authority has taken.
 */
export interface ReportResponse {
  /**
   * Sequence number of the last request taken.
   */
  'acknowledged'?: (number | string | Long);
}

/**
 * What the authority has taken.
 */
export interface ReportResponse__Output {
  /**
   * Sequence number of the last request taken.
   */
  'acknowledged': (number);
}
