// Original file: proto/ait/v1/authority.proto

import type { SessionSummary as _ait_v1_SessionSummary, SessionSummary__Output as _ait_v1_SessionSummary__Output } from '../../ait/v1/SessionSummary.ts';

/**
 * The sessions of one instance.
 */
export interface SessionList {
  /**
   * In no particular order.
   */
  'sessions'?: (_ait_v1_SessionSummary)[];
}

/**
 * The sessions of one instance.
 */
export interface SessionList__Output {
  /**
   * In no particular order.
   */
  'sessions': (_ait_v1_SessionSummary__Output)[];
}
