// Original file: proto/ait/v1/authority.proto

/**
 * One item in which a measurement differs from a baseline.
 */
export interface DimensionDifference {
  /**
   * `system_prompt`, `knowledge_base`, `model` or `tools`.
   */
  'dimension'?: (string);
  /**
   * Prompt, entry or tool; empty where the dimension is one item.
   */
  'item'?: (string);
  /**
   * Digest in the baseline; empty where it has none.
   */
  'expected'?: (string);
  /**
   * Digest measured; empty where there is none.
   */
  'observed'?: (string);
}

/**
 * One item in which a measurement differs from a baseline.
 */
export interface DimensionDifference__Output {
  /**
   * `system_prompt`, `knowledge_base`, `model` or `tools`.
   */
  'dimension': (string);
  /**
   * Prompt, entry or tool; empty where the dimension is one item.
   */
  'item': (string);
  /**
   * Digest in the baseline; empty where it has none.
   */
  'expected': (string);
  /**
   * Digest measured; empty where there is none.
   */
  'observed': (string);
}
