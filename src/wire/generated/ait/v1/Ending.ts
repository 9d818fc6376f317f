// Original file: proto/ait/v1/types.proto

import type { WireReason as _ait_v1_WireReason, WireReason__Output as _ait_v1_WireReason__Output } from '../../ait/v1/WireReason.ts';

/**
 * A refusal or an end, as the other side is told.
 */
export interface Ending {
  /**
   * Coarse reason.
   */
  'reason'?: (_ait_v1_WireReason);
  /**
   * Shared by the log lines of both sides; 1 to 64 characters of [A-Za-z0-9_-].
   */
  'correlationId'?: (string);
}

/**
 * A refusal or an end, as the other side is told.
 */
export interface Ending__Output {
  /**
   * Coarse reason.
   */
  'reason': (_ait_v1_WireReason__Output);
  /**
   * Shared by the log lines of both sides; 1 to 64 characters of [A-Za-z0-9_-].
   */
  'correlationId': (string);
}
