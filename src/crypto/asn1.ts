import forge from 'node-forge/lib/asn1.js';
import type { Asn1 } from 'node-forge/lib/asn1.js';

/** One ASN.1 value. Contents are binary strings inside forge; this module alone knows. */
export type { Asn1 };

/** Tag numbers of the universal class (X.680 section 8.4) that certificates use. */
export const TAG = {
  BOOLEAN: 1,
  INTEGER: 2,
  BIT_STRING: 3,
  OCTET_STRING: 4,
  OID: 6,
  UTF8_STRING: 12,
  SEQUENCE: 16,
  SET: 17,
  UTC_TIME: 23,
  GENERALIZED_TIME: 24,
} as const;

const UNIVERSAL = 0;
const CONTEXT = 0x80;
/** A certificate needs 9 levels. */
const MAX_DEPTH = 16;
/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
const GENERALIZED_TIME_FROM_YEAR = 2050;
const LAST_SECOND = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Why bytes are not the DER value that was expected. Its message names the place and repeats no input. */
export class Asn1Error extends Error {
  override readonly name = 'Asn1Error';
}

export const sequence = (...members: Asn1[]): Asn1 => forge.create(UNIVERSAL, TAG.SEQUENCE, true, members);
export const set = (...members: Asn1[]): Asn1 => forge.create(UNIVERSAL, TAG.SET, true, members);
export const octetString = (bytes: Uint8Array): Asn1 => primitive(UNIVERSAL, TAG.OCTET_STRING, bytes);
export const utf8String = (text: string): Asn1 => primitive(UNIVERSAL, TAG.UTF8_STRING, Buffer.from(text));
export const oid = (dotted: string): Asn1 => forge.create(UNIVERSAL, TAG.OID, false, forge.oidToDer(dotted).getBytes());
export const booleanTrue = (): Asn1 => primitive(UNIVERSAL, TAG.BOOLEAN, Buffer.from([0xff]));
export const contextValue = (tag: number, bytes: Uint8Array): Asn1 => primitive(CONTEXT, tag, bytes);
export const contextMembers = (tag: number, ...members: Asn1[]): Asn1 => forge.create(CONTEXT, tag, true, members);

/** @param unusedBits how many of the last byte's low bits mean nothing; 0 to 7. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Asn1 {
  return primitive(UNIVERSAL, TAG.BIT_STRING, Buffer.concat([Buffer.from([unusedBits]), bytes]));
}

/** A non-negative integer from its big-endian bytes, in the shortest form (X.690 section 8.3.2). */
export function unsignedInteger(bytes: Uint8Array): Asn1 {
  const first = bytes.findIndex((byte) => byte !== 0);
  const magnitude = first === -1 ? Buffer.from([0]) : Buffer.from(bytes.subarray(first));
  const padded = (magnitude[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), magnitude]) : magnitude;
  return primitive(UNIVERSAL, TAG.INTEGER, padded);
}

/**
 * An X.509 `Time` (RFC 5280 section 4.1.2.5).
 *
 * @param at milliseconds since the epoch, 1970 to 9999; fractions of a second are cut off.
 * @throws Asn1Error outside that range.
 */
export function time(at: number): Asn1 {
  if (!Number.isSafeInteger(at) || at < 0 || at > LAST_SECOND)
    throw new Asn1Error('a time is not between 1970 and 9999');
  const digits = `${new Date(at)
    .toISOString()
    .slice(0, 19)
    .replaceAll(/[^0-9]/g, '')}Z`;
  const late = Number(digits.slice(0, 4)) >= GENERALIZED_TIME_FROM_YEAR;
  return late
    ? primitive(UNIVERSAL, TAG.GENERALIZED_TIME, Buffer.from(digits))
    : primitive(UNIVERSAL, TAG.UTC_TIME, Buffer.from(digits.slice(2)));
}

export function encode(value: Asn1): Buffer {
  return Buffer.from(forge.toDer(value).getBytes(), 'latin1');
}

/**
 * Reads exactly one DER value. Forge also reads BER (long lengths, indefinite lengths), in which one value has many
 * spellings and two readers may differ, so whatever does not come back byte by byte is refused: fails closed.
 *
 * @param maxBytes checked before anything is parsed.
 * @throws Asn1Error
 */
export function decode(der: Uint8Array, maxBytes: number): Asn1 {
  if (der.length > maxBytes) throw new Asn1Error(`longer than ${maxBytes} bytes`);
  const bytes = Buffer.from(der.buffer, der.byteOffset, der.byteLength);
  let value: Asn1;
  try {
    value = forge.fromDer(bytes.toString('latin1'), {
      strict: true,
      parseAllBytes: true,
      decodeBitStrings: false,
      maxDepth: MAX_DEPTH,
    });
  } catch (cause) {
    throw new Asn1Error('not one DER value', { cause });
  }
  if (!encode(value).equals(bytes)) throw new Asn1Error('not DER: an encoding is not the shortest');
  return value;
}

/** The members of a SEQUENCE, or of the universal constructed type given. @throws Asn1Error */
export function membersOf(value: Asn1 | undefined, what: string, tag: number = TAG.SEQUENCE): Asn1[] {
  if (value?.tagClass !== UNIVERSAL || value.type !== tag || !Array.isArray(value.value)) {
    throw new Asn1Error(`${what} is missing or of another type`);
  }
  return value.value;
}

/** The contents of a universal primitive type. @throws Asn1Error */
export function bytesOf(value: Asn1 | undefined, what: string, tag: number): Buffer {
  if (value?.tagClass !== UNIVERSAL || value.type !== tag || typeof value.value !== 'string') {
    throw new Asn1Error(`${what} is missing or of another type`);
  }
  return Buffer.from(value.value, 'latin1');
}

/** The bits of a BIT STRING with `unused` low bits at its end. @throws Asn1Error */
export function bitsOf(value: Asn1 | undefined, what: string): { readonly bytes: Buffer; readonly unused: number } {
  const contents = bytesOf(value, what, TAG.BIT_STRING);
  const unused = contents[0];
  if (unused === undefined || unused > 7) throw new Asn1Error(`${what} is not a bit string`);
  return { bytes: contents.subarray(1), unused };
}

/** @throws Asn1Error */
export function oidOf(value: Asn1 | undefined, what: string): string {
  const contents = bytesOf(value, what, TAG.OID);
  try {
    // Written back, because the reader is also content with overlong or unfinished arcs.
    const dotted = forge.derToOid(contents.toString('latin1'));
    if (forge.oidToDer(dotted).getBytes() === contents.toString('latin1')) return dotted;
  } catch {
    // The same complaint as below.
  }
  throw new Asn1Error(`${what} is not an object identifier`);
}

/** Context-specific tag `[tag]`: its contents, or its members where it is constructed; `undefined` for anything else. */
export function contextOf(value: Asn1 | undefined, tag: number): Buffer | Asn1[] | undefined {
  if (value?.tagClass !== CONTEXT || value.type !== tag) return undefined;
  return typeof value.value === 'string' ? Buffer.from(value.value, 'latin1') : value.value;
}

/** Milliseconds since the epoch. Only the forms that RFC 5280 allows: seconds present, `Z`. @throws Asn1Error */
export function timeOf(value: Asn1 | undefined, what: string): number {
  const late = value?.type === TAG.GENERALIZED_TIME;
  const digits = bytesOf(value, what, late ? TAG.GENERALIZED_TIME : TAG.UTC_TIME).toString('latin1');
  const full = late ? digits : `${Number(digits.slice(0, 2)) >= 50 ? '19' : '20'}${digits}`;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full);
  const iso = parts && `${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}.000Z`;
  const at = iso === null ? Number.NaN : Date.parse(iso);
  if (Number.isNaN(at) || new Date(at).toISOString() !== iso) throw new Asn1Error(`${what} is not a time`);
  return at;
}

function primitive(tagClass: number, tag: number, bytes: Uint8Array): Asn1 {
  return forge.create(tagClass, tag, false, Buffer.from(bytes).toString('latin1'));
}
