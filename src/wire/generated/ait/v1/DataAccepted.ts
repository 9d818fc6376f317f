// Original file: proto/ait/v1/data.proto

/**
 * The connection belongs to the session, and the agent behind it has been reached.
 */
export interface DataAccepted {
}

/**
 * The connection belongs to the session, and the agent behind it has been reached.
 */
export interface DataAccepted__Output {
}
