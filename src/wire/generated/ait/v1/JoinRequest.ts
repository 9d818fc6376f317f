// Original file: proto/ait/v1/authority.proto

/**
 * Asks for membership.
 */
export interface JoinRequest {
  /**
   * Id of the join credential.
   */
  'credentialId'?: (string);
  /**
   * Its secret, 32 bytes.
   */
  'credentialSecret'?: (Buffer | Uint8Array | string);
  /**
   * PKCS#10 in DER, ECDSA P-256, at most 4 KiB. Subject and extensions are ignored: the name comes from the credential.
   */
  'csrDer'?: (Buffer | Uint8Array | string);
  /**
   * Instead of a credential: a projected Kubernetes ServiceAccount token (a JWT) whose issuer, audience and account the
   * authority was told to accept.
   */
  'serviceAccountToken'?: (string);
}

/**
 * Asks for membership.
 */
export interface JoinRequest__Output {
  /**
   * Id of the join credential.
   */
  'credentialId': (string);
  /**
   * Its secret, 32 bytes.
   */
  'credentialSecret': (Buffer);
  /**
   * PKCS#10 in DER, ECDSA P-256, at most 4 KiB. Subject and extensions are ignored: the name comes from the credential.
   */
  'csrDer': (Buffer);
  /**
   * Instead of a credential: a projected Kubernetes ServiceAccount token (a JWT) whose issuer, audience and account the
   * authority was told to accept.
   */
  'serviceAccountToken': (string);
}
