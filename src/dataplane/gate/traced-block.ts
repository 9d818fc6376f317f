import type { HpackDecoder } from '../hpack/decoder.ts';
import type { HeaderBlock, TooLargeBlock } from '../hpack/header-block.ts';

/** `traceparent`, of version 00's length, as a literal that no table takes up (RFC 7541, section 6.2.2). */
const FIELD = Buffer.from('\0\x0btraceparent\x37', 'latin1');
const VALUE_BYTES = 55;
const FIELD_BYTES = FIELD.length + VALUE_BYTES;

/** The field that each call has of its own, as it stands at the end of a block. */
export function encodeTraceparent(value: string): Buffer {
  const field = Buffer.allocUnsafe(FIELD.length + value.length);
  FIELD.copy(field);
  field[FIELD.length - 1] = value.length;
  field.write(value, FIELD.length, 'latin1');
  return field;
}

/** The header block of a request; its last field apart, if that is a `traceparent`. */
export interface TracedBlock {
  readonly block: HeaderBlock | TooLargeBlock;
  /** The last field's value, which is not among those of the block. */
  readonly traceparent: string | undefined;
}

/**
 * Decodes the block of a request from another sidecar, which puts the one field that differs in each call at its end: what
 * stands before it comes again and again, and need not be decoded each time.
 *
 * That the last bytes look like the field does not make them one. Bytes before them that are known to be a whole block do:
 * fields follow each other, so where a known block ends, a field begins.
 *
 * @throws HpackError
 */
export function decodeTraced(decoder: HpackDecoder, bytes: Buffer): TracedBlock {
  const at = bytes.length - FIELD_BYTES;
  if (at <= 0 || bytes.compare(FIELD, 0, FIELD.length, at, at + FIELD.length) !== 0) {
    return { block: decoder.decode(bytes), traceparent: undefined };
  }
  const traceparent = bytes.toString('latin1', at + FIELD.length);
  const beginning = bytes.subarray(0, at);
  const known = decoder.recall(beginning);
  if (known !== undefined) return { block: known, traceparent };
  const block = decoder.decode(bytes);
  if (!block.tooLarge && !block.changedTable) {
    const last = block.fields.at(-1);
    const others = block.fields.slice(0, -1);
    const isApart = !others.some(({ name }) => name === 'traceparent' || name === 'tracestate');
    if (last?.name === 'traceparent' && last.value === traceparent && isApart) decoder.keep(beginning, others);
  }
  return { block, traceparent: undefined };
}
