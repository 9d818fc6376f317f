// Original file: proto/ait/v1/authority.proto

/**
 * Whom to trust.
 */
export interface GetTrustBundleResponse {
  /**
   * The trust bundle in SPIFFE bundle format (JSON): X.509 roots, AIT keys, state keys.
   */
  'trustBundle'?: (string);
}

/**
 * Whom to trust.
 */
export interface GetTrustBundleResponse__Output {
  /**
   * The trust bundle in SPIFFE bundle format (JSON): X.509 roots, AIT keys, state keys.
   */
  'trustBundle': (string);
}
