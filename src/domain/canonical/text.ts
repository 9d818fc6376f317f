export type TextErrorCode = 'empty' | 'not_utf8' | 'binary';

/** Why bytes are not a text that can be measured. */
export class TextError extends Error {
  override readonly name = 'TextError';
  readonly code: TextErrorCode;

  constructor(code: TextErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const BYTE_ORDER_MARK = '\uFEFF';

/**
 * Brings a text to the form that rule `ait-text-1` hashes, as UTF-8.
 *
 * It forgives what moving a file between systems changes, and nothing else: one leading byte order mark is removed;
 * CRLF, and then any CR that is left, becomes LF. A second byte order mark, trailing whitespace and a missing last
 * newline all count. There is no Unicode normalisation, for it folds look-alikes into one digest.
 *
 * Apply it once, to bytes as read: of two leading byte order marks one stays, and a second pass would remove it.
 *
 * NUL is refused: no text needs it, and UTF-16 without a byte order mark is valid UTF-8 full of NULs.
 *
 * Fails closed. The size is not bounded here: whoever reads the bytes bounds them.
 *
 * @throws {TextError} `not_utf8`, `binary` for a NUL, `empty` when no character is left (a lone newline is one).
 */
export function canonicalizeText(bytes: Uint8Array): string {
  return canonicalizeString(decodeUtf8(bytes));
}

/**
 * As {@link canonicalizeText}, for a text that came as a string and is well-formed, as strictly parsed JSON is.
 *
 * @throws {TextError} `binary`, `empty`.
 */
export function canonicalizeString(decoded: string): string {
  const unmarked = decoded.startsWith(BYTE_ORDER_MARK) ? decoded.slice(1) : decoded;
  if (unmarked === '') throw new TextError('empty', 'the text is empty');
  if (unmarked.includes('\0')) throw new TextError('binary', 'the text contains a NUL character');
  return unmarked.includes('\r') ? unmarked.replace(/\r\n?/g, '\n') : unmarked;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new TextError('not_utf8', 'the bytes are not valid UTF-8', { cause });
  }
}
