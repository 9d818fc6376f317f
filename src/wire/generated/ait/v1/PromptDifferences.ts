// Original file: proto/ait/v1/authority.proto

import type { PromptDifference as _ait_v1_PromptDifference, PromptDifference__Output as _ait_v1_PromptDifference__Output } from '../../ait/v1/PromptDifference.ts';

/**
 * How prompts differ from the approved ones.
 */
export interface PromptDifferences {
  /**
   * One for each prompt that differs.
   */
  'prompts'?: (_ait_v1_PromptDifference)[];
}

/**
 * How prompts differ from the approved ones.
 */
export interface PromptDifferences__Output {
  /**
   * One for each prompt that differs.
   */
  'prompts': (_ait_v1_PromptDifference__Output)[];
}
