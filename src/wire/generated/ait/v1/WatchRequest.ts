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
  /**
   * SPIFFE IDs of the agents that the caller is configured to call, at most 1000. While one of the two is in observe
   * mode, they are told of each other although no grant joins them.
   */
  'wantedPeers'?: (string)[];
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
  /**
   * SPIFFE IDs of the agents that the caller is configured to call, at most 1000. While one of the two is in observe
   * mode, they are told of each other although no grant joins them.
   */
  'wantedPeers': (string)[];
}
