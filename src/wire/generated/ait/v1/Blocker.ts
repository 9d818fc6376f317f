// Original file: proto/ait/v1/authority.proto

/**
 * A named obstacle to readiness.
 */
export interface Blocker {
  /**
   * From a fixed set.
   */
  'name'?: (string);
  /**
   * For the operator.
   */
  'reason'?: (string);
}

/**
 * A named obstacle to readiness.
 */
export interface Blocker__Output {
  /**
   * From a fixed set.
   */
  'name': (string);
  /**
   * For the operator.
   */
  'reason': (string);
}
