// Original file: proto/ait/v1/authority.proto

import type { PromptDifferenceQuestion as _ait_v1_PromptDifferenceQuestion, PromptDifferenceQuestion__Output as _ait_v1_PromptDifferenceQuestion__Output } from '../../ait/v1/PromptDifferenceQuestion.ts';

/**
 * What an operator wants to know of one instance.
 */
export interface OperatorQuestion {
  /**
   * Repeated in the answer; 1 to 64 characters of [A-Za-z0-9_-].
   */
  'id'?: (string);
  /**
   * Who asks, for the instance's own log.
   */
  'operator'?: (string);
  /**
   * How the prompts differ from the approved ones. The only question whose answer has text of a prompt in it.
   */
  'promptDifference'?: (_ait_v1_PromptDifferenceQuestion | null);
  /**
   * Exactly one.
   */
  'question'?: "promptDifference";
}

/**
 * What an operator wants to know of one instance.
 */
export interface OperatorQuestion__Output {
  /**
   * Repeated in the answer; 1 to 64 characters of [A-Za-z0-9_-].
   */
  'id': (string);
  /**
   * Who asks, for the instance's own log.
   */
  'operator': (string);
  /**
   * How the prompts differ from the approved ones. The only question whose answer has text of a prompt in it.
   */
  'promptDifference'?: (_ait_v1_PromptDifferenceQuestion__Output | null);
  /**
   * Exactly one.
   */
  'question'?: "promptDifference";
}
