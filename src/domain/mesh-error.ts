/**
 * Every code an ait-mesh process can fail with, and what it means to the person who reads it. Security outcomes are not
 * here: a refusal is a value with a rejection code (`rejection.ts`), an error is something that did not work.
 *
 * Codes are stable: they are matched by scripts and looked up in the documentation. Add a line to add a code.
 */
export const MESH_ERRORS = {
  CERTIFICATE_INVALID: 'A certificate, or what one was to be made of, is not acceptable.',
  CONFIG_INVALID: 'The configuration has problems; all of them are listed.',
  CSR_INVALID: 'A certificate signing request is malformed, too large, not EC P-256, or not signed by its own key.',
  FILE_UNREADABLE: 'A file that is needed does not exist, cannot be read, or is not what it should be.',
  INTERNAL: 'A defect in ait-mesh itself.',
  JSON_INVALID:
    'Text is not the strict JSON required: a duplicate key, an unsafe number, a lone surrogate, or too deep.',
  KEY_INVALID: 'A key is not the EC P-256 key that is needed.',
  MEASUREMENT_MALFORMED: 'A measurement, or a tuple of digests, has not the shape that tokens and baselines use.',
  SPIFFE_ID_INVALID: 'A name is not a SPIFFE ID or trust domain of the form ait-mesh accepts.',
  START_FAILED: 'A part of the process did not start; those already started were stopped.',
  STATE_CONFLICT: 'A record changed between reading and writing; nothing was written.',
  STATE_FILE_CORRUPT: 'The state file is damaged and was left untouched; restore it from a backup.',
  STATE_NOT_WRITTEN: 'A change was refused, because it could not be written to the state directory; nothing changed.',
  STATE_LOCKED: 'Another living process has the state directory open.',
  STOP_FAILED: 'A part of the process did not stop cleanly within its deadline.',
  TEXT_INVALID: 'Text to be measured is empty or not valid UTF-8.',
  TOKEN_UNSIGNABLE: 'Something was not signed, because no reader would accept it.',
  TRUST_BUNDLE_INVALID: 'A trust bundle is malformed, empty, or not of the trust domain it was fetched for.',
  TRUST_ROOTS_EMPTY: 'There is no root certificate to trust, and the roots of the system are never used instead.',
  DURATION_INVALID: 'A duration is not a number with a unit, such as 10s, 5m, 1h or 30d.',
  JOIN_REFUSED: 'The authority refused to let this instance in, and asking again would not help.',
  AUTHORITY_ROOT_MISMATCH:
    'Whoever answers at the address of the authority has another root than the one that the sidecar was given.',
  JOIN_CREDENTIAL_MALFORMED: 'A join credential is not the text that `ait agent credential` wrote.',
  STATE_MALFORMED: 'A state object or head has not the shape that the protocol describes.',
  ADDRESS_IN_USE: 'Another process listens on the address already.',
  ADMIN_REFUSED: 'The authority or a sidecar refused what an operator asked for; the message has its reason.',
  AUTHORITY_UNREACHABLE: 'The authority does not answer: it is not running, or the address or socket is another.',
  AGENT_REFUSED: 'The mesh does not admit the agent as it is now; the message has the rejection code.',
  NOT_READY: 'A sidecar was not usable in time; what it waited for is listed.',
} as const;

export type MeshErrorCode = keyof typeof MESH_ERRORS;

export interface MeshErrorOptions {
  /** What the reader can do about it, in one sentence. */
  readonly hint?: string;
  /** The error underneath, kept whole. */
  readonly cause?: unknown;
}

/** The one error class of ait-mesh: `message` says what went wrong with which thing, `code` is for machines. */
export class MeshError extends Error {
  override readonly name: string = 'MeshError';
  readonly code: MeshErrorCode;
  readonly hint?: string;

  constructor(code: MeshErrorCode, message: string, options: MeshErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
  }
}

/** Whether a caught value is a `MeshError`, of one code where one is given. */
export function isMeshError(error: unknown, code?: MeshErrorCode): error is MeshError {
  return error instanceof MeshError && (code === undefined || error.code === code);
}
