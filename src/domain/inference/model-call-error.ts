/** What can be wrong with a request to a model. Stable: callers and metrics depend on them. */
export const MODEL_CALL_ERROR_CODES = [
  /** A field or member that is not on the list of those that are understood. */
  'unknown_field',
  /** A field that is known, and refused for what it does; the message says what to use instead. */
  'unsupported_field',
  /** A known field with a value that is known, and refused for what it does. */
  'unsupported_value',
  'missing_field',
  'bad_type',
  'bad_value',
  /** It refers to something that the service would have to remember: what the model sees must be in the request. */
  'stateful',
  'no_messages',
  'bad_role',
  /** An instruction text that has no canonical form: empty, or with a NUL. */
  'bad_text',
  /** A tool that the service would run itself. */
  'hosted_tool',
  'bad_tool',
  'duplicate_tool',
  /** It has more parts than anybody needs, or a text beside the prompt is longer than it may be. */
  'too_large',
] as const;
export type ModelCallErrorCode = (typeof MODEL_CALL_ERROR_CODES)[number];

/** Why a request is not one that could be checked. It is the caller's fault, and nothing was forwarded. */
export class ModelCallError extends Error {
  override readonly name = 'ModelCallError';
  readonly status = 400;
  readonly code: ModelCallErrorCode;
  /** The part of the request, for example `messages[2].role`; empty for the whole. */
  readonly param: string;

  /** @param message for people: what to do, and nothing of a prompt. */
  constructor(code: ModelCallErrorCode, param: string, message: string, options?: ErrorOptions) {
    super(param === '' ? message : `${param}: ${message}`, options);
    this.code = code;
    this.param = param;
  }
}
