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
}
