// Original file: proto/ait/v1/authority.proto

/**
 * Membership.
 */
export interface JoinResponse {
  /**
   * The new SVID in DER. Its issuer is one of the roots in the bundle.
   */
  'certificateDer'?: (Buffer | Uint8Array | string);
  /**
   * The instance's id, unique in the trust domain.
   */
  'instanceId'?: (string);
  /**
   * The trust bundle in SPIFFE bundle format (JSON): X.509 roots, AIT keys, state keys.
   */
  'trustBundle'?: (string);
}

/**
 * Membership.
 */
export interface JoinResponse__Output {
  /**
   * The new SVID in DER. Its issuer is one of the roots in the bundle.
   */
  'certificateDer': (Buffer);
  /**
   * The instance's id, unique in the trust domain.
   */
  'instanceId': (string);
  /**
   * The trust bundle in SPIFFE bundle format (JSON): X.509 roots, AIT keys, state keys.
   */
  'trustBundle': (string);
}
