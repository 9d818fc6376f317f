import assert from 'node:assert/strict';
import type { HpackDecoder } from '../../src/dataplane/hpack/decoder.ts';
import type { HeaderField } from '../../src/dataplane/hpack/header-field.ts';

/** Fields as lines `name: value`, a sensitive one marked with a `!`: a failing test prints them well. */
export function fieldLines(fields: readonly HeaderField[]): string[] {
  return fields.map(({ name, value, sensitive }) => `${sensitive === true ? '! ' : ''}${name}: ${value}`);
}

/** Decodes a block that must not be too large, into lines. */
export function decodeLines(decoder: HpackDecoder, block: Buffer | string): string[] {
  const decoded = decoder.decode(typeof block === 'string' ? Buffer.from(block, 'hex') : block);
  assert.ok(!decoded.tooLarge, `too large: ${decoded.listBytes} bytes`);
  return fieldLines(decoded.fields);
}

/** What the dynamic table of a decoder holds, newest first. Asking changes nothing. */
export function tableLines(decoder: HpackDecoder, count: number): string[] {
  const indices = Array.from({ length: count }, (_, place) => 0x80 | (62 + place));
  return decodeLines(decoder, Buffer.from(indices));
}
