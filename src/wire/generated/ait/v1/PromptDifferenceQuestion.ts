// Original file: proto/ait/v1/authority.proto

/**
 * Asks for a readable difference between measured and approved prompts.
 */
export interface PromptDifferenceQuestion {
}

/**
 * Asks for a readable difference between measured and approved prompts.
 */
export interface PromptDifferenceQuestion__Output {
}
