// Original file: proto/ait/v1/authority.proto

/**
 * One step of the state. The receiver keeps the objects it has, adds these, and takes the result only if it then holds
 * exactly the objects that the head lists.
 */
export interface WatchResponse {
  /**
   * The signed head, a compact JWS of type `ait-head+jwt`: domain, recipient, epoch, revision, previous, not_after and
   * the SHA-256 of every object in force.
   */
  'head'?: (string);
  /**
   * Signed objects the receiver may not have yet, compact JWS of type `ait-object+jwt`.
   */
  'objects'?: (string)[];
  /**
   * The trust bundle in SPIFFE bundle format (JSON), in the first response of a stream and whenever it is another than
   * the one before; else empty. Only for a receiver that does not know the state key that signed the head: as at the
   * join, it believes the bundle because of the connection that it came on. What is in force afterwards is the bundle in
   * the state.
   */
  'trustBundle'?: (string);
}

/**
 * One step of the state. The receiver keeps the objects it has, adds these, and takes the result only if it then holds
 * exactly the objects that the head lists.
 */
export interface WatchResponse__Output {
  /**
   * The signed head, a compact JWS of type `ait-head+jwt`: domain, recipient, epoch, revision, previous, not_after and
   * the SHA-256 of every object in force.
   */
  'head': (string);
  /**
   * Signed objects the receiver may not have yet, compact JWS of type `ait-object+jwt`.
   */
  'objects': (string)[];
  /**
   * The trust bundle in SPIFFE bundle format (JSON), in the first response of a stream and whenever it is another than
   * the one before; else empty. Only for a receiver that does not know the state key that signed the head: as at the
   * join, it believes the bundle because of the connection that it came on. What is in force afterwards is the bundle in
   * the state.
   */
  'trustBundle': (string);
}
