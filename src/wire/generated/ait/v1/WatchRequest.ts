// Original file: proto/ait/v1/authority.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Asks for the state.
 */
export interface WatchRequest {
  /**
   * Epoch and revision of the last head that the caller holds; both 0 if none. Informative: the first response is
   * always complete.
   */
  'epoch'?: (number | string | Long);
  /**
   * See epoch.
   */
  'revision'?: (number | string | Long);
}

/**
 * Asks for the state.
 */
export interface WatchRequest__Output {
  /**
   * Epoch and revision of the last head that the caller holds; both 0 if none. Informative: the first response is
   * always complete.
   */
  'epoch': (number);
  /**
   * See epoch.
   */
  'revision': (number);
}
