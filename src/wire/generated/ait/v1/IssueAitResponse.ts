// Original file: proto/ait/v1/authority.proto

/**
 * A token.
 */
export interface IssueAitResponse {
  /**
   * The Agent Identity Token, a compact JWS.
   */
  'ait'?: (string);
}

/**
 * A token.
 */
export interface IssueAitResponse__Output {
  /**
   * The Agent Identity Token, a compact JWS.
   */
  'ait': (string);
}
