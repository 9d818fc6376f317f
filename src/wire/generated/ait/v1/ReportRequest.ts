// Original file: proto/ait/v1/authority.proto

import type { Decision as _ait_v1_Decision, Decision__Output as _ait_v1_Decision__Output } from '../../ait/v1/Decision.ts';
import type { SessionList as _ait_v1_SessionList, SessionList__Output as _ait_v1_SessionList__Output } from '../../ait/v1/SessionList.ts';
import type { Long } from '@grpc/proto-loader';

/**
 * Facts, at most 256 KiB.
 */
export interface ReportRequest {
  /**
   * Increases by one with each request of this stream.
   */
  'sequence'?: (number | string | Long);
  /**
   * The decisions taken since the last request.
   */
  'decisions'?: (_ait_v1_Decision)[];
  /**
   * How many decisions had to be dropped because the queue was full.
   */
  'dropped'?: (number | string | Long);
  /**
   * The sessions open now; sent when they changed.
   */
  'sessions'?: (_ait_v1_SessionList | null);
}

/**
 * Facts, at most 256 KiB.
 */
export interface ReportRequest__Output {
  /**
   * Increases by one with each request of this stream.
   */
  'sequence': (number);
  /**
   * The decisions taken since the last request.
   */
  'decisions': (_ait_v1_Decision__Output)[];
  /**
   * How many decisions had to be dropped because the queue was full.
   */
  'dropped': (number);
  /**
   * The sessions open now; sent when they changed.
   */
  'sessions': (_ait_v1_SessionList__Output | null);
}
