// Original file: proto/ait/v1/authority.proto

import type { OperatorQuestion as _ait_v1_OperatorQuestion, OperatorQuestion__Output as _ait_v1_OperatorQuestion__Output } from '../../ait/v1/OperatorQuestion.ts';
import type { Long } from '@grpc/proto-loader';

/**
 * What the authority has taken, and what operators ask of the instance.
 */
export interface ReportResponse {
  /**
   * Sequence number of the last request taken.
   */
  'acknowledged'?: (number | string | Long);
  /**
   * A question of an operator whom the authority has authenticated and authorised.
   */
  'question'?: (_ait_v1_OperatorQuestion | null);
}

/**
 * What the authority has taken, and what operators ask of the instance.
 */
export interface ReportResponse__Output {
  /**
   * Sequence number of the last request taken.
   */
  'acknowledged': (number);
  /**
   * A question of an operator whom the authority has authenticated and authorised.
   */
  'question': (_ait_v1_OperatorQuestion__Output | null);
}
