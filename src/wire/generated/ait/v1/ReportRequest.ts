// Original file: proto/ait/v1/authority.proto

import type { Decision as _ait_v1_Decision, Decision__Output as _ait_v1_Decision__Output } from '../../ait/v1/Decision.ts';
import type { SessionList as _ait_v1_SessionList, SessionList__Output as _ait_v1_SessionList__Output } from '../../ait/v1/SessionList.ts';
import type { InstanceStatus as _ait_v1_InstanceStatus, InstanceStatus__Output as _ait_v1_InstanceStatus__Output } from '../../ait/v1/InstanceStatus.ts';
import type { OperatorAnswer as _ait_v1_OperatorAnswer, OperatorAnswer__Output as _ait_v1_OperatorAnswer__Output } from '../../ait/v1/OperatorAnswer.ts';
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
  /**
   * How the instance is doing; sent at the beginning and when it changed.
   */
  'status'?: (_ait_v1_InstanceStatus | null);
  /**
   * The answer to an operator's question.
   */
  'answer'?: (_ait_v1_OperatorAnswer | null);
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
  /**
   * How the instance is doing; sent at the beginning and when it changed.
   */
  'status': (_ait_v1_InstanceStatus__Output | null);
  /**
   * The answer to an operator's question.
   */
  'answer': (_ait_v1_OperatorAnswer__Output | null);
}
