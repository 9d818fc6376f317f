// Original file: proto/ait/v1/authority.proto

/**
 * Asks for a token.
 */
export interface IssueAitRequest {
  /**
   * The measurement as JSON, in the shape of the token's `agent.measurement` claim; at most 64 KiB.
   */
  'measurement'?: (string);
  /**
   * `host:port` at which this very instance accepts exchanges and data connections; empty where it accepts none.
   */
  'dataAddress'?: (string);
}

/**
 * Asks for a token.
 */
export interface IssueAitRequest__Output {
  /**
   * The measurement as JSON, in the shape of the token's `agent.measurement` claim; at most 64 KiB.
   */
  'measurement': (string);
  /**
   * `host:port` at which this very instance accepts exchanges and data connections; empty where it accepts none.
   */
  'dataAddress': (string);
}
