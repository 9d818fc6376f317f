// Original file: proto/ait/v1/authority.proto

import type { PromptDifferences as _ait_v1_PromptDifferences, PromptDifferences__Output as _ait_v1_PromptDifferences__Output } from '../../ait/v1/PromptDifferences.ts';

/**
 * The answer.
 */
export interface OperatorAnswer {
  /**
   * Of the question.
   */
  'id'?: (string);
  /**
   * The differences of all prompts that differ.
   */
  'promptDifferences'?: (_ait_v1_PromptDifferences | null);
  /**
   * Why there is no answer, in one line.
   */
  'unavailable'?: (string);
  /**
   * Exactly one.
   */
  'answer'?: "promptDifferences"|"unavailable";
}

/**
 * The answer.
 */
export interface OperatorAnswer__Output {
  /**
   * Of the question.
   */
  'id': (string);
  /**
   * The differences of all prompts that differ.
   */
  'promptDifferences'?: (_ait_v1_PromptDifferences__Output | null);
  /**
   * Why there is no answer, in one line.
   */
  'unavailable'?: (string);
  /**
   * Exactly one.
   */
  'answer'?: "promptDifferences"|"unavailable";
}
