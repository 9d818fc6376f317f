// Original file: proto/ait/v1/authority.proto

/**
 * Asks for the next SVID.
 */
export interface RenewSvidRequest {
  /**
   * PKCS#10 in DER for the new key.
   */
  'csrDer'?: (Buffer | Uint8Array | string);
}

/**
 * Asks for the next SVID.
 */
export interface RenewSvidRequest__Output {
  /**
   * PKCS#10 in DER for the new key.
   */
  'csrDer': (Buffer);
}
