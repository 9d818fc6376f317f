/**
 * A header block that cannot be decoded. Whatever the cause, both sides' tables may differ from here on, so the whole
 * connection ends with COMPRESSION_ERROR (RFC 9113, section 4.3). The message is one line and quotes nothing of the
 * block.
 */
export class HpackError extends Error {
  override readonly name = 'HpackError';
}
