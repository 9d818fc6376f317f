// Original file: proto/ait/v1/authority.proto

/**
 * Asks for the trust bundle.
 */
export interface GetTrustBundleRequest {
}

/**
 * Asks for the trust bundle.
 */
export interface GetTrustBundleRequest__Output {
}
