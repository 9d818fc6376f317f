import type { HeaderField } from '../hpack/header-field.ts';

/** Fields that belong to one connection; in HTTP/2 a message that has them is malformed (RFC 9113, section 8.2.2). */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

/** By octet: whether it may stand in a field name, which is a token in lower case (section 8.2.1; RFC 9110, section 5.6.2). */
const NAME_OCTET = octets((code) => /[!#$%&'*+.^_`|~0-9a-z-]/.test(String.fromCharCode(code)));
/** The same for field values: anything but controls other than a tab (RFC 9110, section 5.5). */
const VALUE_OCTET = octets((code) => code === 9 || (code >= 32 && code !== 127));

const TAB = 9;
const SPACE = 32;

/**
 * What is wrong with a field that is no pseudo-header, if anything: one line, or `undefined`. What a strict and a
 * lenient reader could understand differently does not pass.
 */
export function fieldProblem({ name, value }: HeaderField): string | undefined {
  if (!isFieldName(name)) return 'a field name with characters that it may not have';
  if (CONNECTION_FIELDS.has(name)) return `the connection-specific field ${name}`;
  if (name === 'te' && value !== 'trailers') return 'te with another value than trailers';
  return isFieldValue(value) ? undefined : `the value of ${name} has characters that it may not have`;
}

/** Whether it has no controls, and no blanks around it. */
export function isFieldValue(value: string): boolean {
  const { length } = value;
  if (length === 0) return true;
  const [first, last] = [value.charCodeAt(0), value.charCodeAt(length - 1)];
  if (first === SPACE || first === TAB || last === SPACE || last === TAB) return false;
  for (let i = 0; i < length; i += 1) if (VALUE_OCTET[value.charCodeAt(i)] !== 1) return false;
  return true;
}

/** Whether it is a field name in lower case. */
export function isFieldName(name: string): boolean {
  const { length } = name;
  for (let i = 0; i < length; i += 1) if (NAME_OCTET[name.charCodeAt(i)] !== 1) return false;
  return length > 0;
}

/** A length as a message states it: digits only, within what a number can hold exactly; `undefined`: it is none. */
export function parseLength(value: string): number | undefined {
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function octets(may: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (may(code) ? 1 : 0));
}
