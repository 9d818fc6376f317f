// Original file: proto/ait/v1/authority.proto

import type { DimensionDifference as _ait_v1_DimensionDifference, DimensionDifference__Output as _ait_v1_DimensionDifference__Output } from '../../ait/v1/DimensionDifference.ts';
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
  /**
   * Hexadecimal session id; empty where there was no session.
   */
  'sessionId'?: (string);
  /**
   * Whether the sidecar speaks of its own agent.
   */
  'self'?: (boolean);
  /**
   * Only for drift: what differs, at most 20 entries.
   */
  'differences'?: (_ait_v1_DimensionDifference)[];
  /**
   * Only for drift: id of the baseline that shares most.
   */
  'nearestBaseline'?: (string);
  /**
   * Data connections that were reset with the session.
   */
  'connections'?: (number);
  /**
   * The other side's address.
   */
  'remoteAddress'?: (string);
  /**
   * Where the decision hung on time: our clock, milliseconds since the epoch; else 0.
   */
  'ourClockMs'?: (number | string | Long);
  /**
   * The instant it was compared with.
   */
  'theirClockMs'?: (number | string | Long);
  /**
   * What that instant is.
   */
  'comparedWith'?: (string);
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
  /**
   * Hexadecimal session id; empty where there was no session.
   */
  'sessionId': (string);
  /**
   * Whether the sidecar speaks of its own agent.
   */
  'self': (boolean);
  /**
   * Only for drift: what differs, at most 20 entries.
   */
  'differences': (_ait_v1_DimensionDifference__Output)[];
  /**
   * Only for drift: id of the baseline that shares most.
   */
  'nearestBaseline': (string);
  /**
   * Data connections that were reset with the session.
   */
  'connections': (number);
  /**
   * The other side's address.
   */
  'remoteAddress': (string);
  /**
   * Where the decision hung on time: our clock, milliseconds since the epoch; else 0.
   */
  'ourClockMs': (number);
  /**
   * The instant it was compared with.
   */
  'theirClockMs': (number);
  /**
   * What that instant is.
   */
  'comparedWith': (string);
}
