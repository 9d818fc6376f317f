// Original file: proto/ait/v1/authority.proto

import type { Long } from '@grpc/proto-loader';

/**
 * How one prompt differs.
 */
export interface PromptDifference {
  /**
   * Name of the prompt.
   */
  'name'?: (string);
  /**
   * Digest approved and digest measured, `sha256:` and hexadecimal; empty where there is none.
   */
  'approved'?: (string);
  /**
   * See approved.
   */
  'measured'?: (string);
  /**
   * A unified diff, at most 128 KiB; empty where the approved text is not known to the sidecar.
   */
  'unifiedDiff'?: (string);
  /**
   * Byte offset of the first difference.
   */
  'firstDifference'?: (number | string | Long);
  /**
   * Whether nothing but whitespace differs.
   */
  'whitespaceOnly'?: (boolean);
}

/**
 * How one prompt differs.
 */
export interface PromptDifference__Output {
  /**
   * Name of the prompt.
   */
  'name': (string);
  /**
   * Digest approved and digest measured, `sha256:` and hexadecimal; empty where there is none.
   */
  'approved': (string);
  /**
   * See approved.
   */
  'measured': (string);
  /**
   * A unified diff, at most 128 KiB; empty where the approved text is not known to the sidecar.
   */
  'unifiedDiff': (string);
  /**
   * Byte offset of the first difference.
   */
  'firstDifference': (number);
  /**
   * Whether nothing but whitespace differs.
   */
  'whitespaceOnly': (boolean);
}
