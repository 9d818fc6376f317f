// Original file: proto/ait/v1/authority.proto

/**
 * The next SVID.
 */
export interface RenewSvidResponse {
  /**
   * In DER.
   */
  'certificateDer'?: (Buffer | Uint8Array | string);
}

/**
 * The next SVID.
 */
export interface RenewSvidResponse__Output {
  /**
   * In DER.
   */
  'certificateDer': (Buffer);
}
